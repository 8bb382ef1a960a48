// From what was counted in each slice to rows, and from rows to the table.

import { cpus, release } from "node:os";

import { REFERENCE } from "./subjects.mjs";

const FIGURES = ["callsPerSecond", "p50Ms", "p99Ms", "nodeCpuMs", "proxyCpuMs", "deploymentCalls"];

/** Of one slice, what a row compares: times and costs. Of the proxy's CPU alone there is no ratio, the guide's way has none. */
const COMPARED = {
  callsPerSecond: (slice) => slice.callsPerSecond,
  p50Ms: (slice) => slice.p50Ms,
  nodeCpuMs: (slice) => slice.nodeCpuMs,
  allCpuMs: (slice) => slice.nodeCpuMs + slice.proxyCpuMs,
};

/** @param rounds for each, the slices by scenario's name and subject's name */
export function rowsOf(rounds, scenarios, subjects) {
  return scenarios.flatMap((scenario) =>
    subjects.map((subject) => {
      const slices = rounds.map((round) => round[scenario.name][subject.name]);
      const references = rounds.map((round) => round[scenario.name][REFERENCE]);
      const figures = FIGURES.map((name) => [name, rounded(median(slices.map((slice) => slice[name])))]);
      const ratioOf = (of) => rounded(median(slices.map((slice, round) => of(slice) / of(references[round]))));
      const ratios = Object.entries(COMPARED).map(([name, of]) => [name, ratioOf(of)]);
      return {
        subject: subject.name,
        sessions: scenario.sessions,
        concurrency: scenario.concurrency,
        ...Object.fromEntries(figures),
        ratioToProxy: Object.fromEntries(ratios),
      };
    }),
  );
}

const COLUMNS = [
  ["calls/s", (row) => row.callsPerSecond.toFixed(0)],
  ["p50 ms", (row) => row.p50Ms.toFixed(2)],
  ["p99 ms", (row) => row.p99Ms.toFixed(2)],
  ["Node CPU ms", (row) => row.nodeCpuMs.toFixed(2)],
  ["proxy CPU ms", (row) => row.proxyCpuMs.toFixed(2)],
  ["deployment calls", (row) => row.deploymentCalls.toFixed(4)],
  ["/proxy: calls/s", (row) => row.ratioToProxy.callsPerSecond.toFixed(2)],
  ["p50", (row) => row.ratioToProxy.p50Ms.toFixed(2)],
  ["Node CPU", (row) => row.ratioToProxy.nodeCpuMs.toFixed(2)],
  ["all CPU", (row) => row.ratioToProxy.allCpuMs.toFixed(2)],
];

export function table({ machine, quick, rows }, scenarios, subjects, notes) {
  const titles = Object.fromEntries(subjects.map(({ name, title }) => [name, title]));
  const head = ["", ...COLUMNS.map(([name]) => name)];
  const blocks = scenarios.map(({ title, sessions, concurrency }) => {
    const own = rows.filter((row) => row.sessions === sessions && row.concurrency === concurrency);
    return [[title], ...own.map((row) => [`  ${titles[row.subject]}`, ...COLUMNS.map(([, cell]) => cell(row))])];
  });
  const lines = [head, ...blocks.flat()];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const aligned = (line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ").trimEnd();
  return [
    aligned(head),
    widths.map((width) => "-".repeat(width)).join("  "),
    ...blocks.flatMap((block, index) => [...(index === 0 ? [] : [""]), ...block.map(aligned)]),
    "",
    `${machine}. Medians.`,
    ...notes,
    ...(quick ? ["A quick run: it shows that all works; its figures mean little."] : []),
  ].join("\n");
}

export function machine() {
  const all = cpus();
  return `${all.length} x ${all[0]?.model.trim() ?? process.arch}, Linux ${release()}, Node ${process.versions.node}`;
}

/** Four digits: no two runs have more in common. */
function rounded(value) {
  return Number(value.toPrecision(4));
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
