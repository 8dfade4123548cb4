// One call to a gateway, as another client of it: node rpc.mjs URL TOKEN METHOD [PARAMS], answer on stdout.
//
// It is a program, not code of the tests, so that it can be run inside another network namespace: a gateway gives
// scopes to a client with nothing but the token only on its own loopback. The node that runs the gateway runs it.
// METHOD "connect" answers hello-ok itself. Exit 0: the payload; 3: the gateway's error; 1: no conversation.
// RPC_DEVICE_KEY is an Ed25519 key (32 bytes, base64url) to connect as a device; RPC_SCOPES are the scopes asked for.
import crypto from "node:crypto";

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

const scopes = (
  process.env.RPC_SCOPES ?? "operator.admin,operator.read,operator.write,operator.pairing,operator.approvals"
).split(",");

const device = ({ nonce, ts }) => {
  if (!process.env.RPC_DEVICE_KEY) return {};
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const der = Buffer.concat([prefix, Buffer.from(process.env.RPC_DEVICE_KEY, "base64url")]);
  const key = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const raw = crypto.createPublicKey(key).export({ type: "spki", format: "der" }).subarray(-32);
  const id = crypto.createHash("sha256").update(raw).digest("hex");
  const payload = ["v2", id, "gateway-client", "backend", "operator", scopes.join(","), ts, token, nonce].join("|");
  const signature = crypto.sign(null, Buffer.from(payload), key).toString("base64url");
  return { device: { id, publicKey: raw.toString("base64url"), signature, signedAt: ts, nonce } };
};

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
      scopes,
      caps: [],
      auth: { token },
      ...device(frame.payload),
    });
  } else if (frame.id === "hello" && frame.ok && method !== "connect") {
    send("call", method, JSON.parse(params ?? "{}"));
  } else if (frame.id === "hello" || frame.id === "call") {
    end(frame.ok ? 0 : 3, frame.ok ? frame.payload : frame.error);
  }
};
