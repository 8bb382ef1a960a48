// What an adversary may call an adapter function by.

/** `authAdapter:getUser` in all spellings that Convex takes for it. */
export const SPELLINGS = [
  "authAdapter:getUser",
  "authAdapter.js:getUser",
  "authAdapter/:getUser",
  "authAdapter//:getUser",
  "authAdapter/.:getUser",
  "authAdapter/./:getUser",
  "authAdapter.js/:getUser",
  "authAdapter.js/.:getUser",
];
