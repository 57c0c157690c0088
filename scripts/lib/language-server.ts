import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export interface Position {
  readonly line: number;
  readonly character: number;
}

export interface Diagnostic {
  readonly message: string;
  readonly range: { readonly start: Position };
}

/** No catalogue of public schemas: the one that a file names is what is tested. */
const settings = { yaml: { schemaStore: { enable: false }, validate: true, hover: true, completion: true } };

/** The YAML language server that editors run, as one of them talks to it: JSON-RPC over the standard streams. */
export class YamlLanguageServer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #diagnostics = new Map<string, (found: Diagnostic[]) => void>();
  #received = Buffer.alloc(0);
  #requests = 0;

  constructor() {
    const server = createRequire(import.meta.url).resolve("yaml-language-server/bin/yaml-language-server");
    this.#process = spawn(process.execPath, [server, "--stdio"]);
    this.#process.stdout.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  async start(folder: string): Promise<void> {
    const capabilities = {
      workspace: { configuration: true },
      textDocument: { hover: { contentFormat: ["markdown"] }, publishDiagnostics: {} },
    };
    await this.#request("initialize", {
      processId: process.pid,
      rootUri: pathToFileURL(folder).href,
      capabilities,
    });
    this.#send({ method: "initialized", params: {} });
    this.#send({ method: "workspace/didChangeConfiguration", params: { settings } });
  }

  /** Opens a file with this text; resolves to what the editor would underline. */
  open(file: string, text: string): Promise<Diagnostic[]> {
    const uri = pathToFileURL(file).href;
    const found = new Promise<Diagnostic[]>((resolve) => this.#diagnostics.set(uri, resolve));
    this.#send({
      method: "textDocument/didOpen",
      params: { textDocument: { uri, languageId: "yaml", version: 1, text } },
    });
    return found;
  }

  /** What is offered at a place, label to documentation. */
  async complete(file: string, position: Position): Promise<Map<string, string>> {
    const result = (await this.#request("textDocument/completion", place(file, position))) as {
      items: { label: string; documentation?: string | { value: string } }[];
    };
    return new Map(
      result.items.map(({ label, documentation }) => [
        label,
        typeof documentation === "object" ? documentation.value : (documentation ?? ""),
      ]),
    );
  }

  /** What is shown when the pointer rests at a place. */
  async hover(file: string, position: Position): Promise<string> {
    const result = (await this.#request("textDocument/hover", place(file, position))) as {
      contents: { value: string };
    } | null;
    return result?.contents.value ?? "";
  }

  close(): void {
    this.#process.kill();
  }

  #request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
      this.#send({ id, method, params });
    });
  }

  #send(message: Message): void {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    this.#process.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.#process.stdin.write(body);
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      const length = Number(this.#received.subarray(0, Math.max(end, 0)).toString().match(/\d+/)?.[0]);
      if (end < 0 || this.#received.length < end + 4 + length) return;
      const body = this.#received.subarray(end + 4, end + 4 + length).toString();
      this.#received = this.#received.subarray(end + 4 + length);
      this.#handle(JSON.parse(body));
    }
  }

  #handle(message: Message): void {
    const { id, method, params } = message;
    if (method === undefined) this.#answers.get(id!)?.(message);
    else if (method === "textDocument/publishDiagnostics") {
      const { uri, diagnostics } = params as { uri: string; diagnostics: Diagnostic[] };
      this.#diagnostics.get(uri)?.(diagnostics);
    } else if (id !== undefined)
      this.#send({ id, result: method === "workspace/configuration" ? asked(params) : null });
  }
}

function place(file: string, position: Position) {
  return { textDocument: { uri: pathToFileURL(file).href }, position };
}

/** The sections of the settings that the server asks for. */
function asked(params: unknown): unknown[] {
  const { items } = params as { items: { section?: string }[] };
  return items.map(({ section }) => (settings as Record<string, unknown>)[section ?? ""] ?? null);
}
