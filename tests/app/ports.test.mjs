// The app on one port of localhost, the proxy's public listener on another.

import { all } from "./journeys/all.mjs";
import { pictures } from "./journeys/pictures.mjs";
import { describeWay } from "./lib/journey.mjs";

describeWay("across ports on localhost", undefined, [...all, pictures]);
