// One call to a gateway, as another client of it: node rpc.mjs URL TOKEN METHOD [PARAMS], answer on stdout.
//
// It is a program, not code of the tests, so that it can be run inside another network namespace: a gateway gives
// scopes to a client with nothing but the token only on its own loopback. The node that runs the gateway runs it.
// METHOD "connect" answers hello-ok itself. Exit 0: the payload; 3: the gateway's error; 1: no conversation.
const [url, token, method, params] = process.argv.slice(2);
let ended = false; // a refused connection is an error and a close: one answer, the first
const end = (code, value) => {
  if (ended) return;
  ended = true;
  process.stdout.write(JSON.stringify(value) + "\n", () => process.exit(code));
};
const noConversation = (why) => end(1, { code: "NO_CONVERSATION", message: why });
const limit = Number(process.env.RPC_TIMEOUT_MS ?? 30000);
setTimeout(() => noConversation(`no answer in ${limit} ms`), limit);

const socket = new WebSocket(url);
const send = (id, method, params) => socket.send(JSON.stringify({ type: "req", id, method, params }));
socket.onerror = () => noConversation("cannot connect");
socket.onclose = (event) => noConversation(`closed with ${event.code} ${event.reason}`);
socket.onmessage = (message) => {
  const frame = JSON.parse(message.data);
  if (frame.event === "connect.challenge") {
    // 3..4 suits the protocol of every version in use: 2026.2 speaks 3, later ones 4.
    send("hello", "connect", {
      minProtocol: 3,
      maxProtocol: 4,
      client: { id: "gateway-client", version: "0", platform: "linux", mode: "backend" },
      role: "operator",
      scopes: ["operator.admin", "operator.read", "operator.write", "operator.pairing", "operator.approvals"],
      caps: [],
      auth: { token },
    });
  } else if (frame.id === "hello" && frame.ok && method !== "connect") {
    send("call", method, JSON.parse(params ?? "{}"));
  } else if (frame.id === "hello" || frame.id === "call") {
    end(frame.ok ? 0 : 3, frame.ok ? frame.payload : frame.error);
  }
};
