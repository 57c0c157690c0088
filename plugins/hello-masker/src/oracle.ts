/** The window row by row, n strings of n digits, 1 = kept. */
export function picture(n: number, recentTokens: number): string[] {
  const rows: string[] = [];
  for (let i = 0; i < n; i++) {
    let row = "";
    for (let j = 0; j < n; j++) row += j <= i && j > i - recentTokens ? "1" : "0";
    rows.push(row);
  }
  return rows;
}
