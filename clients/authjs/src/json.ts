import { ConvexAuthProxyError } from "./error.js";

/**
 * The body of a call: dates as ISO strings, undefined members left out, null kept.
 *
 * JSON would write null for an invalid date or for a number that is not finite, and null means "clear this field": both are refused.
 */
export function jsonOf(body: Record<string, unknown>, method: string): string {
  const refuse = (message: string) => new ConvexAuthProxyError({ code: "AdapterArgumentInvalid", method, message });
  function checked(this: Record<string, unknown>, key: string, value: unknown): unknown {
    // `value` went through `toJSON` already; the holder has what the caller gave.
    if (isDate(this[key]) && value === null) throw refuse(`\`${key}\` is an invalid date`);
    if (typeof value === "number" && !Number.isFinite(value)) throw refuse(`\`${key}\` is not a finite number`);
    if (typeof value === "bigint") throw refuse(`\`${key}\` is a bigint, which JSON cannot carry`);
    return value;
  }
  try {
    return JSON.stringify(body, checked);
  } catch (error) {
    if (error instanceof ConvexAuthProxyError) throw error;
    throw refuse("an argument cannot be written as JSON");
  }
}

/** Also true for a date of another realm, which `instanceof` would miss. */
function isDate(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Date]";
}
