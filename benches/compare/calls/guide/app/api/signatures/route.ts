import { tokensSigned } from "@/lib/signed-token";

export const dynamic = "force-dynamic";

/** For the measurement alone: how many tokens this server has signed. */
export function GET(): Response {
  return Response.json(tokensSigned());
}
