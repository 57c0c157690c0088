/**
 * Every error code of Winnow with what it means. One table; `docs/errors.md` is generated from it and a test proves that none is stale.
 */
export const errorCodes = {
  ERR_CONFIG_SYNTAX:
    "The YAML (or JSON) text does not parse, or uses a construct that is refused (alias bomb, alias cycle, duplicate key).",
  ERR_CONFIG_FILE: "A configuration file cannot be read.",
  ERR_OPTION_UNKNOWN: "A key that no schema knows.",
  ERR_OPTION_TYPE: "A value of the wrong type.",
  ERR_OPTION_RANGE: "A value outside its range.",
  ERR_OPTION_MISSING: "A required value is absent.",
  ERR_PLAN_CONFLICT: "Each value is legal, but they cannot be combined, or not with this model.",
  ERR_PLUGIN_UNKNOWN: "No installed plugin has this id.",
  ERR_PLUGIN_DUPLICATE: "Two plugins claim one id.",
  ERR_PLUGIN_INVALID: "A plugin package or definition breaks the contract (manifest, contract version, kind).",
  ERR_PLUGIN_NOT_ALLOWED: "A configuration names plugin code by a path that the user did not allow.",
  ERR_PLUGIN_FAILED: "A plugin threw while running, or took more time or memory than its limits allow.",
  ERR_PLUGIN_RESULT: "A plugin returned something that its contract forbids (shape, range, order, NaN).",
  ERR_MODEL_FILE: "A model file is missing, truncated or contradicts itself.",
  ERR_MODEL_CONFIG: "config.json lacks a value, has a wrong one, or names an unsupported architecture.",
  ERR_MODEL_TENSOR: "A tensor is missing, superfluous, of the wrong shape or type, or holds NaN or infinity.",
  ERR_WEIGHT_FORMAT:
    "A sparse weight contradicts itself or its format, or a matrix does not fit the format it was to take.",
  ERR_CALIBRATION: "The calibration text is missing, too short, or gives statistics that are not finite.",
  ERR_TOKENIZER: "tokenizer.json is unreadable, unsupported or does not fit the model.",
  ERR_PROMPT: "The prompt is empty, too long for the model's context, or holds ids outside the vocabulary.",
  ERR_GENERATION_OPTION: "A generation option is out of range.",
  ERR_OPERATION_ARGUMENT: "An operation was called with sizes or indices that do not fit.",
  ERR_KERNEL_UNSUPPORTED: "No allowed kernel package implements this operation for these formats.",
  ERR_ISA_UNSUPPORTED: "The requested instruction set is not available on this processor or in this build.",
  ERR_NATIVE_LOAD: "The native add-on cannot be loaded.",
  ERR_NATIVE_BUILD: "The native add-on cannot be built.",
  ERR_NON_FINITE: "A computation produced NaN or infinity.",
  ERR_CANCELLED: "The caller asked to stop.",
  ERR_WORKER_DIED: "A worker thread ended while it ran a task.",
  ERR_ENGINE_CLOSED: "The engine was closed.",
  ERR_OUTPUT_FILE: "An output file cannot be written.",
  ERR_FIXTURE: "A fixture cannot be read or names what nothing here can run.",
  ERR_USAGE: "A command-line argument is wrong.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** Where in a text file something stands; line and column count from 1. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ErrorDetails {
  readonly location?: SourceLocation;
  readonly cause?: unknown;
  /** The plugin that is to blame, if one is. */
  readonly plugin?: string;
}

/**
 * The one error class. The message is one sentence shape everywhere: which action failed, what was given, what was expected; then what to do.
 * Plain fields only, so that it survives the way from a worker (see {@link WinnowError.toPlain}).
 */
export class WinnowError extends Error {
  override readonly name = "WinnowError";
  readonly code: ErrorCode;
  readonly location?: SourceLocation;
  readonly plugin?: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.location) this.location = details.location;
    if (details.plugin) this.plugin = details.plugin;
  }

  /** `message`, then `  file:line:column  [CODE]`. */
  override toString(): string {
    const place = this.location ? `${this.location.file}:${this.location.line}:${this.location.column}  ` : "";
    return `${this.message}\n  ${place}[${this.code}]`;
  }

  /** Structured-cloneable form for a message between threads. */
  toPlain(): PlainError {
    return {
      code: this.code,
      message: this.message,
      ...(this.location && { location: this.location }),
      ...(this.plugin && { plugin: this.plugin }),
      ...(this.cause !== undefined && { cause: String(this.cause) }),
    };
  }

  static fromPlain(plain: PlainError): WinnowError {
    return new WinnowError(plain.code, plain.message, plain);
  }
}

export interface PlainError extends ErrorDetails {
  readonly code: ErrorCode;
  readonly message: string;
}
