// The journeys in the order in which they are made.

import { protectedPage, noSecrets, revocation, revocationLive } from "./guarded.mjs";
import { deploymentOutage, outages } from "./outages.mjs";
import { accounts } from "./providers.mjs";
import { signUpByLetter } from "./sign-up.mjs";
import { signInWithoutLoad, signOutElsewhere } from "./without-a-load.mjs";

/** What an ingress can break: the page, the socket, the sign-in, live data. */
export const core = [signUpByLetter];

export const all = [...core, signOutElsewhere, signInWithoutLoad, accounts, protectedPage, revocation, noSecrets, outages];

/** What a deployment of its own and short tokens show. */
export const withDeployment = [...all, revocationLive, deploymentOutage];
