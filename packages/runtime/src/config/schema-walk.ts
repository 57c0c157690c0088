import { z } from "zod";
import type { ConfigPath } from "./path.js";

/** The schema of the value at `path`, undefined where the schema says nothing about it. */
export function schemaAt(schema: z.ZodType, path: ConfigPath): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>((current, key) => current && step(unwrap(current), key), schema);
}

function step(schema: z.ZodType, key: string | number): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) return Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
  if (schema instanceof z.ZodArray) return schema.element as z.ZodType;
  if (schema instanceof z.ZodRecord) return schema.valueType as z.ZodType;
  if (!(schema instanceof z.ZodUnion)) return undefined;
  return schema.options.map((choice) => step(unwrap(choice as z.ZodType), key)).find((inner) => inner !== undefined);
}

/** Keys that an object schema allows, without those that only exist to be refused. */
export function allowedKeys(schema: z.ZodType | undefined): string[] {
  const inner = schema && unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.keys(inner.shape).filter((key) => !(unwrap(inner.shape[key] as z.ZodType) instanceof z.ZodNever));
}

/** The schema inside optional, default, nullable and the like. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return unwrap(schema.in as z.ZodType);
  const inner = (schema as { _zod: { def: { innerType?: z.ZodType } } })._zod.def.innerType;
  return inner ? unwrap(inner) : schema;
}
