"use server";

import { redirect } from "next/navigation";

import { signIn, signOut } from "@/auth";
import { isOffered } from "@/lib/providers";

/** From a form with `email` and `callbackUrl`: sends the link. */
export async function signInByLetter(form: FormData): Promise<void> {
  const email = String(form.get("email") ?? "").trim();
  const callbackUrl = String(form.get("callbackUrl") || "/");
  // Auth.js would end at its `Configuration` error for an address that is none.
  if (!/^[^\s@"]+@[^\s@"]+$/.test(email)) {
    redirect(`/signin?${new URLSearchParams({ error: "AddressInvalid", callbackUrl })}`);
  }
  await orExplain(signIn("email", { email, redirectTo: callbackUrl, redirect: false }));
}

/** From a form with `provider` and `callbackUrl`. While somebody is signed in, the account is linked to that user. */
export async function signInByProvider(form: FormData): Promise<void> {
  const provider = form.get("provider");
  if (!isOffered(provider)) redirect("/signin");
  await orExplain(signIn(provider, { redirectTo: String(form.get("callbackUrl") || "/"), redirect: false }));
}

/**
 * Begins a sign-in that ends at /signin-done, and returns where the user's window has to go. The cookies of the flow are set by
 * this very answer.
 */
export async function beginSignIn(provider: string): Promise<string> {
  if (!isOffered(provider)) throw new Error("this provider is not offered");
  return await signIn(provider, { redirectTo: "/signin-done", redirect: false });
}

export async function leave(): Promise<void> {
  await signOut({ redirectTo: "/" });
}

/** Goes where Auth.js says, or where its failure is explained; its message stays in the log. */
async function orExplain(next: Promise<string>): Promise<never> {
  const url = await next.catch((error: { type?: unknown }) => {
    console.error(error);
    const known = error.type === "AccessDenied" ? "AccessDenied" : "Configuration";
    return `/auth-error?error=${known}`;
  });
  // Auth.js would redirect to its page by way of this route, and Next.js looks for a page at the first address that it is given.
  redirect(/\/verify-request\?[^/]*$/.test(url) ? "/check-mail" : url);
}
