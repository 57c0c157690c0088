// docs/cli.md, from the definitions of the commands.
import { createProgram } from "../../packages/cli/dist/program.js";

export function cliPage() {
  const commands = leaves(createProgram(async () => {}));
  const intro = `# Command line\n\nGenerated from the definitions of the commands by \`node scripts/generate.mjs\`. \`npx winnow COMMAND --help\` prints the same.\n\nResults go to standard output, progress and notices to standard error. Exit status: 0 done, 1 a check found a difference, 2 an error (with its [code](errors.md)), 130 stopped by Ctrl-C.\n`;
  const table = commands.map(
    (command) => `| [\`${nameOf(command)}\`](#${anchor(nameOf(command))}) | ${descriptionOf(command)} |`,
  );
  return `${intro}\n| command | what it does |\n| --- | --- |\n${table.join("\n")}\n\n${commands.map(commandText).join("\n")}`;
}

/** Commands that do something, without those that only hold others. */
function leaves(command) {
  const inner = command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help");
  return inner.length === 0 ? [command] : inner.flatMap(leaves);
}

function nameOf(command) {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}

/** A command without description of its own does what its group is for. */
function descriptionOf(command) {
  return cell(command.description() || command.parent.description());
}

function commandText(command) {
  const help = command.createHelp();
  const options = help.visibleOptions(command).filter(({ long }) => long !== "--help");
  const rows = options.map((option) => `| \`${cell(option.flags)}\` | ${cell(help.optionDescription(option))} |`);
  const table = rows.length > 0 ? `\n| option | meaning |\n| --- | --- |\n${rows.join("\n")}\n` : "";
  return `## ${nameOf(command)}\n\n${sentence(descriptionOf(command))}\n\n\`\`\`text\n${help.commandUsage(command)}\n\`\`\`\n${table}`;
}

function anchor(heading) {
  return heading.toLowerCase().replaceAll(" ", "-");
}

function cell(text) {
  return text.replaceAll("|", "\\|");
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
