import { describe, expect, it } from "vitest";
import { createRopeTable, inverseFrequencies } from "./rope.js";
import type { RopeScaling } from "./rope-config.js";

const plain = { theta: 10000, scaling: { type: "default" } } as const;
const withScaling = (scaling: RopeScaling) => ({ theta: 10000, scaling });
const f32 = Math.fround;

/** Frequencies without any rounding. */
const exact = (i: number, headDim: number, theta = 10000) => theta ** ((-2 * i) / headDim);

describe("inverseFrequencies", () => {
  it("inverseFrequencies of theta 10000 and d = 8 are 1, 0.1, 0.01, 0.001 in float32", () => {
    expect([...inverseFrequencies(plain, 8)]).toEqual([1, f32(0.1), f32(0.01), f32(0.001)]);
  });

  it("inverseFrequencies stay within float32 rounding of 1 / theta^(2i/d) for a large theta", () => {
    const frequencies = inverseFrequencies({ ...plain, theta: 500000 }, 128);
    // Exponent, power and quotient are rounded once each; an error of the exponent grows by ln(theta) = 13.
    frequencies.forEach((value, i) => {
      const expected = exact(i, 128, 500000);
      expect(Math.abs(value - expected)).toBeLessThanOrEqual(expected * 15 * 2 ** -24);
    });
  });

  it("inverseFrequencies with linear scaling are divided by the factor", () => {
    expect([...inverseFrequencies(withScaling({ type: "linear", factor: 4 }), 4)]).toEqual([0.25, f32(f32(0.01) / 4)]);
  });

  it("inverseFrequencies with llama3 scaling keep short waves, divide long ones, and blend between", () => {
    const scaling = {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContextLength: 64,
    } as const;
    const [short, middle, long] = inverseFrequencies(withScaling(scaling), 8);
    // Wavelengths 6.28 < 64/4; 62.8 in 16..64; 628 > 64/1.
    expect(short).toBe(1);
    const smooth = (64 / (2 * Math.PI * 10) - 1) / 3;
    expect(middle).toBeCloseTo(((1 - smooth) * 0.1) / 8 + smooth * 0.1, 8);
    expect(long).toBe(f32(f32(0.01) / 8));
  });

  it("inverseFrequencies with YaRN go from plain to stretched over the ramp of channels", () => {
    const scaling = {
      type: "yarn",
      factor: 4,
      betaFast: 32,
      betaSlow: 1,
      originalContextLength: 2048,
      truncate: true,
      attentionFactor: 1.1,
    } as const;
    const frequencies = inverseFrequencies(withScaling(scaling), 64);
    // 64 ln(2048 / (2 pi turns)) / (2 ln 10000): 8.06 channels for 32 turns, 20.10 for 1, so the ramp is 8..21.
    expect(frequencies[8]).toBe(inverseFrequencies(plain, 64)[8]);
    expect(frequencies[21]).toBeCloseTo(exact(21, 64) / 4, 9);
    const ramp = (14 - 8) / (21 - 8);
    expect(frequencies[14]).toBeCloseTo(exact(14, 64) * (1 - ramp + ramp / 4), 8);
  });

  it("inverseFrequencies with YaRN and truncate false use the fractional ramp", () => {
    const scaling = {
      type: "yarn",
      factor: 4,
      betaFast: 32,
      betaSlow: 1,
      originalContextLength: 2048,
      truncate: false,
      attentionFactor: 1,
    } as const;
    const channel = (turns: number) => (64 * Math.log(2048 / (turns * 2 * Math.PI))) / (2 * Math.log(10000));
    const ramp = (14 - channel(32)) / (channel(1) - channel(32));
    expect(inverseFrequencies(withScaling(scaling), 64)[14]).toBeCloseTo(exact(14, 64) * (1 - ramp + ramp / 4), 8);
  });
});

describe("createRopeTable", () => {
  it("createRopeTable starts at angle 0 and holds cos and sin of float32 angles, [positions, d / 2]", () => {
    const { cos, sin } = createRopeTable(plain, 4, 3);
    const angles = [0, 0, 1, f32(0.01), 2, f32(f32(0.01) * 2)];
    expect([...cos]).toEqual(angles.map((angle) => f32(Math.cos(angle))));
    expect([...sin]).toEqual(angles.map((angle) => f32(Math.sin(angle))));
  });

  it("createRopeTable rounds the angle to float32 before the cosine, as Hugging Face does", () => {
    const position = 100001;
    const { cos } = createRopeTable(plain, 8, position + 1);
    const rounded = f32(f32(0.1) * position);
    expect(cos[position * 4 + 1]).toBe(f32(Math.cos(rounded)));
    expect(cos[position * 4 + 1]).not.toBe(f32(Math.cos(f32(0.1) * position)));
  });

  it("createRopeTable multiplies cos and sin by the attention factor of YaRN", () => {
    const scaling = {
      type: "yarn",
      factor: 4,
      betaFast: 32,
      betaSlow: 1,
      originalContextLength: 64,
      truncate: true,
      attentionFactor: 1.25,
    } as const;
    const { cos, sin } = createRopeTable(withScaling(scaling), 2, 2);
    expect(cos[0]).toBe(1.25);
    expect(sin[1]).toBeCloseTo(1.25 * Math.sin(inverseFrequencies(withScaling(scaling), 2)[0]), 6);
  });

  it("createRopeTable puts its tables on shared memory, so that workers get them without a copy", () => {
    const table = createRopeTable(plain, 4, 2);
    const clone = structuredClone(table);
    clone.cos[0] = 7;
    expect(table.cos[0]).toBe(7);
  });

  it.each([
    [0, 8],
    [1.5, 8],
    [Number.NaN, 8],
    [4, 7],
    [4, 0],
  ])("createRopeTable refuses %d positions of head dimension %d", (positions, headDim) => {
    expect(() => createRopeTable(plain, headDim, positions)).toThrow(
      expect.objectContaining({ code: "ERR_OPERATION_ARGUMENT" }),
    );
  });
});
