import { type PluginsBench, spreadOf } from "@winnow/evaluate/bench";
import { describe, expect, it } from "vitest";
import { pluginsTable } from "./plugins-table.js";

const bench: PluginsBench = {
  bench: "plugins",
  conditions: { cpu: "Some CPU", cores: 4, memoryBytes: 1e9, platform: "linux-x64", node: "v20.19.0" },
  process: { node: spreadOf([40, 50, 60]), list: spreadOf([149, 150, 300]), listOverNode: spreadOf([90, 100, 260]) },
  rows: [
    { id: "quick", kind: "masker", loadMs: spreadOf([30]) },
    { id: "slow", kind: "kv-pruner", loadMs: spreadOf([31]), notCreated: "some options have no default" },
  ],
  targets: { list: 150, load: 30 },
};

/** The cells of the row that starts with a label. */
function cells(label: string): string[] {
  const line = pluginsTable(bench)
    .split("\n")
    .find((candidate) => candidate.startsWith(`│ ${label}`))!;
  return line.split("│").map((cell) => cell.trim());
}

describe("pluginsTable", () => {
  it("pluginsTable compares the median time to list plugins with its target, beside that of Node.js alone", () => {
    expect(cells("process")).toContain("target 150 ms");
    expect(cells("winnow plugins list")).toEqual(["", "winnow plugins list", "150 ms (149 ms..300 ms)", "met", ""]);
    expect(cells("node -e 0")).toContain("50.0 ms (40.0 ms..60.0 ms)");
    expect(cells("  longer than node")).toContain("100 ms (90.0 ms..260 ms)");
  });

  it("pluginsTable compares the time of each plugin with its target and says which were loaded only", () => {
    expect(cells("quick")).toEqual(["", "quick", "masker", "30.0 ms", "met", "", ""]);
    expect(cells("slow")).toEqual([
      "",
      "slow",
      "kv-pruner",
      "31.0 ms",
      "missed",
      "loaded only: some options have no default",
      "",
    ]);
  });

  it("pluginsTable states the machine", () => {
    expect(pluginsTable(bench)).toContain("Some CPU, 4 cores, linux-x64, Node v20.19.0.");
  });
});
