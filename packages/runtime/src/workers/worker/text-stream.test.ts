import { fileURLToPath } from "node:url";
import { loadTokenizer, openModelFolder, parseModelConfig } from "@winnow/models";
import { expect, test } from "vitest";
import { noText, TextStream } from "./text-stream.js";

const folder = openModelFolder(fileURLToPath(new URL("../../../../../models/winnow-16m-32k", import.meta.url)));
const tokenizer = loadTokenizer(folder, parseModelConfig(folder.config));
const idsOf = (text: string) => [...tokenizer.encode(text, { addSpecialTokens: false })];

function streamed(text: string, stops: readonly string[]): { pieces: string[]; stopped: boolean } {
  const stream = new TextStream(tokenizer, stops);
  const pieces: string[] = [];
  for (const id of idsOf(text)) {
    const emitted = stream.push(id);
    pieces.push(emitted.text);
    if (emitted.stopped) return { pieces, stopped: true };
  }
  const rest = stream.flush();
  return { pieces: [...pieces, rest.text], stopped: rest.stopped };
}

const text = "The caf\u00e9 sells \u{1F600} and na\u00efve \u201cquotes\u201d.";

test("TextStream gives the decoded text back, piece by piece", () => {
  expect(streamed(text, []).pieces.join("")).toBe(text);
});

test("TextStream never splits a character: no piece holds U+FFFD or half a surrogate pair", () => {
  for (const piece of streamed(text, []).pieces) expect(piece.isWellFormed() && !piece.includes("\uFFFD")).toBe(true);
});

test("TextStream ends before the first stop string, wherever token borders fall", () => {
  for (const stop of ["sells", "caf\u00e9 s", "\u{1F600}", "."]) {
    const { pieces, stopped } = streamed(text, ["zzz", stop]);
    expect(stopped).toBe(true);
    expect(pieces.join("")).toBe(text.slice(0, text.indexOf(stop)));
  }
});

test("TextStream holds back a possible start of a stop string and gives it out when it was none", () => {
  const stream = new TextStream(tokenizer, ["ab!"]);
  const [a, b] = [idsOf("a"), idsOf("b")];
  expect(stream.push(a[0])).toEqual({ text: "", stopped: false });
  expect(stream.push(b[0])).toEqual({ text: "", stopped: false });
  expect(stream.flush()).toEqual({ text: "ab", stopped: false });
});

test("TextStream goes on from its state in another worker, at every token border", () => {
  const ids = idsOf(text);
  for (let border = 0; border <= ids.length; border++) {
    const first = new TextStream(tokenizer, ["never"]);
    let joined = "";
    for (const id of ids.slice(0, border)) joined += first.push(id).text;
    const second = new TextStream(tokenizer, ["never"], border === 0 ? noText : structuredClone(first.state));
    for (const id of ids.slice(border)) joined += second.push(id).text;
    expect(joined + second.flush().text).toBe(text);
  }
});
