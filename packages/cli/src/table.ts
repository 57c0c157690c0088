const ASCII = /^[ -~]*$/;
const NO_COLUMN = /^[\p{Mark}\p{Format}]$/u;
/** East Asian wide and full-width characters and emoji (Unicode, UAX 11). */
const TWO_COLUMNS =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/** A table in box-drawing characters: the head, then rows with a cell for each entry of it. A cell may hold several lines. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const [headCells, ...rowCells] = [head, ...rows].map((row) => row.map((cell) => `${cell}`.split("\n")));
  const widths = head.map((_, column) =>
    Math.max(...[headCells, ...rowCells].flatMap((cells) => cells[column].map(displayWidth))),
  );
  const rule = (left: string, middle: string, right: string) =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}`;
  return [
    rule("┌", "┬", "┐"),
    ...rowLines(headCells, widths),
    ...(rows.length > 0 ? [rule("├", "┼", "┤")] : []),
    ...rowCells.flatMap((cells) => rowLines(cells, widths)),
    rule("└", "┴", "┘"),
  ].join("\n");
}

function rowLines(cells: readonly (readonly string[])[], widths: readonly number[]): string[] {
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => {
    const padded = widths.map((width, column) => {
      const text = cells[column][line] ?? "";
      return text + " ".repeat(width - displayWidth(text));
    });
    return `│ ${padded.join(" │ ")} │`;
  });
}

/** Columns that a terminal takes for one line of text. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  const columns = [...text].map((character) => (NO_COLUMN.test(character) ? 0 : TWO_COLUMNS.test(character) ? 2 : 1));
  return columns.reduce<number>((sum, width) => sum + width, 0);
}
