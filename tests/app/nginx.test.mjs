// The app and the proxy on one host behind nginx, with the example's deploy/nginx.conf.

import { withDeployment } from "./journeys/all.mjs";
import { describeWay } from "./lib/journey.mjs";

describeWay("on one host behind nginx", "nginx", withDeployment);
