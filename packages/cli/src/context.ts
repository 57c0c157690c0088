/** What every command gets besides its own arguments. */
export interface CommandContext {
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export type ExitStatus = number;
