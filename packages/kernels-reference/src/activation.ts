import type { Activation } from "@winnow/core";
import { check } from "./check.js";

const activations: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
};

/** 2 / sqrt(pi) * e^(-x^2) * sum over k of 2^k x^(2k + 1) / (1 * 3 * ... * (2k + 1)): no term cancels another. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The function that a name stands for; ERR_OPERATION_ARGUMENT for an unknown one. */
export function activationOf(operation: string, activation: Activation): (x: number) => number {
  const known = Object.keys(activations);
  check(known.includes(activation), operation, "activation", `be one of ${known.join(", ")}`, activation);
  return activations[activation];
}
