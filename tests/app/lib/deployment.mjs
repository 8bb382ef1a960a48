// The proxy and its deployment: `dev`, which is both, or `serve` in front of a deployment that a line leads to.

import { keyPair, serveEnvironment } from "../../e2e/lib/keys.mjs";
import { startDev, startServe } from "../../e2e/lib/proxy.mjs";
import { startSwitch } from "./switch.mjs";

/** `{ proxy, secret, deploymentUrl, stop }`. `env` is the proxy's. */
export async function startAsDev(env) {
  const proxy = await startDev(env);
  return { proxy, secret: proxy.secret, deploymentUrl: proxy.deploymentUrl, stop: () => proxy.stop() };
}

/** The same and `deploymentSwitch`, which is in the line between the two. */
export async function startAsServe(env) {
  const pair = keyPair();
  const secret = "the adapter secret of this deployment and its proxy";
  const deployment = await startDev({ CONVEX_AUTH_PRIVATE_KEY: pair.pem, JWKS: pair.jwks, CONVEX_AUTH_ADAPTER_SECRET: secret });
  const deploymentSwitch = await startSwitch(deployment.ports.deployment);
  const stopDeployment = async () => {
    deploymentSwitch.close();
    await deployment.stop();
  };
  try {
    const proxy = await startServe({
      ...serveEnvironment(`http://127.0.0.1:${deploymentSwitch.port}`, pair),
      CONVEX_AUTH_ADAPTER_SECRET: secret,
      // The one that the embedded deployment trusts.
      CONVEX_AUTH_PROXY__TOKEN__ISSUER: `http://127.0.0.1:${deployment.ports.public}`,
      ...env,
    });
    const stop = async () => {
      await proxy.stop();
      await stopDeployment();
    };
    return { proxy, secret, deploymentUrl: deployment.deploymentUrl, deploymentSwitch, stop };
  } catch (error) {
    await stopDeployment();
    throw error;
  }
}
