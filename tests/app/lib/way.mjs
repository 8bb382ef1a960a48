// A way of putting the app and the proxy together, all of it running on loopback.

import { freePorts } from "../../e2e/lib/proxy.mjs";
import { startApp, startOidc } from "./app.mjs";
import { startAsDev, startAsServe } from "./deployment.mjs";
import { startCaddy, startNginx } from "./ingress.mjs";
import { startSwitch } from "./switch.mjs";

const INGRESSES = { nginx: startNginx, caddy: startCaddy };

/** The path under which an ingress reaches the proxy; a part of the build. */
const BASE_PATH = "/convex";

/** The shortest that the proxy allows: on an open page tokens are renewed several times in a journey. */
const SHORT_LIFETIME = "10s";

/**
 * Starts what the way needs; `ingress` is `nginx`, `caddy`, or nothing for the proxy on a port of its own. Without one the proxy is
 * `dev` as it is; with one it is `serve` with a base path and short tokens.
 *
 * `{ origin, secret, deploymentUrl, adapterSwitch, publicSwitch, deploymentSwitch, log, stop }`: the switches stand before the proxy's
 * two listeners, and before the deployment where that is a process of its own. `log()` gives the app's output. The port that browsers
 * reach the proxy by is part of the build, so it comes from the environment.
 */
export async function startWay(ingress) {
  const builtPort = Number(required(ingress ? "APP_INGRESS_PORT" : "APP_PUBLIC_PORT"));
  const [appPort] = await freePorts(1);
  const origin = `http://localhost:${ingress ? builtPort : appPort}`;
  const stops = [];
  const started = (one, stop = one.stop) => {
    stops.unshift(stop);
    return one;
  };
  const stop = async () => {
    // The last first, and each though another failed.
    const failures = [];
    for (const one of stops.splice(0)) await Promise.resolve(one()).catch((error) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, "not everything ended in order");
  };
  try {
    const startProxy = ingress ? startAsServe : startAsDev;
    const { proxy, secret, deploymentUrl, deploymentSwitch } = started(
      await startProxy({
        CONVEX_AUTH_PROXY__SESSION__ORIGINS: origin,
        ...(ingress ? { CONVEX_AUTH_PROXY__LISTEN__BASE_PATH: BASE_PATH, CONVEX_AUTH_PROXY__TOKEN__LIFETIME: SHORT_LIFETIME } : {}),
      }),
    );
    const publicSwitch = await startSwitch(proxy.ports.public, ingress ? 0 : builtPort);
    started(publicSwitch, publicSwitch.close);
    const adapterSwitch = await startSwitch(proxy.ports.adapter);
    started(adapterSwitch, adapterSwitch.close);
    const oidc = started(await startOidc(origin));
    const app = started(
      await startApp({
        port: appPort,
        hostname: ingress ? "127.0.0.1" : "localhost",
        distDir: ingress ? ".next-host" : ".next-ports",
        adapterUrl: `http://localhost:${adapterSwitch.port}`,
        issuer: oidc.issuer,
        origin,
      }),
    );
    if (ingress) started(await INGRESSES[ingress]({ listen: builtPort, app: appPort, proxy: publicSwitch.port }));
    return { origin, secret, deploymentUrl, publicSwitch, adapterSwitch, deploymentSwitch, log: () => app.output, stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run tests/app/run`);
  return value;
}
