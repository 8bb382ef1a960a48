/**
 * `null` as Auth.js uses it: "this field has no value". Convex has no such value for an optional field, only absence.
 */
import { type GenericValidator, type PropertyValidators, type Validator, v } from "convex/values";

type Nullable<Fields extends PropertyValidators> = {
  [Name in keyof Fields]: Fields[Name] extends Validator<infer Value, "optional", infer Paths>
    ? Validator<Value | null, "optional", Paths>
    : Fields[Name];
};

/** The same fields; those that may be absent may be `null` too. */
export function nullable<Fields extends PropertyValidators>(fields: Fields): Nullable<Fields> {
  const orNull = (field: GenericValidator) =>
    field.isOptional === "optional" ? v.optional(v.union(field, v.null())) : field;
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, orNull(field)]),
  ) as unknown as Nullable<Fields>;
}

/**
 * `undefined` for each `null`: `db.patch` takes the field away, `db.insert` leaves it out. A field that is not there stays
 * not there, so a patch leaves it as it is.
 */
export function cleared<Row extends object>(row: Row) {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? undefined : value])) as {
    [Name in keyof Row]: Exclude<Row[Name], null>;
  };
}

/** Whether every field that `given` names has that value in `stored`. The fields of this schema hold no objects. */
export function agrees<Row extends object>(stored: Row, given: Partial<Row>) {
  return Object.entries(given).every(([name, value]) => stored[name as keyof Row] === value);
}
