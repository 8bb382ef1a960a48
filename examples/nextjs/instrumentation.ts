/** Next.js calls this once when the server starts: what is missing is told now, and not by the first visitor. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { tellAboutEnvironment } = await import("@/lib/environment");
  tellAboutEnvironment();
}
