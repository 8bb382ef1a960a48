/** Waits; the network's return and a look at the page cut the wait short, an abort ends it. */
export function until(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      document.removeEventListener("visibilitychange", whenSeen);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const whenSeen = () => document.visibilityState === "visible" && done();
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done);
    document.addEventListener("visibilitychange", whenSeen);
    signal.addEventListener("abort", done);
  });
}
