/** The sync protocol of Convex, as much of it as a client needs to be told that it is signed in. */
export class FakeDeployment {
  readonly sockets: FakeSocket[] = [];
  /** Answers mutations by itself; else they wait. */
  answersMutations = true;
  /** Each token that was shown, and each sign-out as null, in order. */
  readonly shown: (string | null)[] = [];
  readonly WebSocket: typeof WebSocket;

  constructor() {
    const deployment = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string) {
        super(url, deployment);
        deployment.sockets.push(this);
      }
    } as unknown as typeof WebSocket;
  }

  get open(): FakeSocket[] {
    return this.sockets.filter((socket) => socket.readyState === 1);
  }
}

interface Message {
  type: string;
  requestId?: number;
  newVersion?: number;
  tokenType?: string;
  value?: string;
  modifications?: { type: string; queryId: number }[];
}

const time = (count: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(count));
  return bytes.toString("base64");
};

export class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readyState = 0;
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: (event: { code: number; reason: string }) => void;
  onerror?: (event: unknown) => void;
  readonly mutations: number[] = [];
  #version = { querySet: 0, identity: 0, ts: time(0) };
  #count = 0;

  constructor(
    readonly url: string,
    private readonly deployment: FakeDeployment,
  ) {
    setImmediate(() => {
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(text: string): void {
    setImmediate(() => this.#read(JSON.parse(text) as Message));
  }

  close(): void {
    if (this.readyState >= 2) return;
    this.readyState = 3;
    setImmediate(() => this.onclose?.({ code: 1000, reason: "" }));
  }

  answerMutations(): void {
    for (const requestId of this.mutations.splice(0)) {
      this.#say({ type: "MutationResponse", requestId, success: true, result: null, ts: time(++this.#count), logLines: [] });
    }
    this.#turn({}, []);
  }

  #read(message: Message): void {
    switch (message.type) {
      case "Authenticate":
        this.deployment.shown.push(message.tokenType === "User" ? message.value! : null);
        return this.#turn({ identity: this.#version.identity + 1 }, []);
      case "ModifyQuerySet": {
        const added = message.modifications!.filter(({ type }) => type === "Add");
        return this.#turn(
          { querySet: message.newVersion! },
          added.map(({ queryId }) => ({ type: "QueryUpdated", queryId, value: "answer", logLines: [], journal: null })),
        );
      }
      case "Mutation":
        this.mutations.push(message.requestId!);
        if (this.deployment.answersMutations) this.answerMutations();
    }
  }

  #turn(change: Partial<{ querySet: number; identity: number }>, modifications: unknown[]): void {
    const startVersion = this.#version;
    this.#version = { ...startVersion, ...change, ts: time(++this.#count) };
    this.#say({ type: "Transition", startVersion, endVersion: this.#version, modifications });
  }

  #say(message: unknown): void {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(message) });
  }
}
