// The app and the proxy on one host behind Caddy, with the example's deploy/Caddyfile.

import { core } from "./journeys/all.mjs";
import { describeWay } from "./lib/journey.mjs";

describeWay("on one host behind Caddy", "caddy", core);
