/** What every command gets besides its own arguments. */
export interface CommandContext {
  /**
   * Aborted by Ctrl-C from the first reading of this property on. A command that does not read it is ended by Ctrl-C at once: so must be one that runs code
   * of plugins on this thread, where no handler is called while they do not return.
   */
  readonly signal: AbortSignal;
}

export type ExitStatus = number;
