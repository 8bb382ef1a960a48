// A page with no auth code at all: who is signed in, what was said, and a box to say something.

import { ConvexProvider, ConvexReactClient, useMutation, useQuery } from "convex/react";
import { anyApi } from "convex/server";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const { demo } = anyApi;
const client = new ConvexReactClient(document.body.dataset.convexUrl);

function Chat() {
  const identity = useQuery(demo.whoami);
  const messages = useQuery(demo.list);
  const send = useMutation(demo.send);
  const [body, setBody] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    setBody("");
    await send({ body });
  };
  return (
    <main>
      <p id="user">{identity === undefined ? "loading" : (identity?.subject ?? "anonymous")}</p>
      <ul id="messages">
        {messages?.map(({ _id, author, body }) => (
          <li key={_id}>
            {author}: {body}
          </li>
        ))}
      </ul>
      <form onSubmit={submit}>
        <input id="body" value={body} onChange={(event) => setBody(event.target.value)} />
        <button>Send</button>
      </form>
    </main>
  );
}

createRoot(document.getElementById("root")).render(
  <ConvexProvider client={client}>
    <Chat />
  </ConvexProvider>,
);
