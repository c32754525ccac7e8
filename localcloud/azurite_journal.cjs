// Loaded into Azurite by azurite.py. Azurite emits no events, and its access log lacks ETags, request ids and the
// requests inside a batch. This writes one JSON line for each blob that was created or deleted, before the client
// has the answer, into numbered files: this side only appends, the reader deletes what it has read. It uses nothing
// of Azurite but that it is an HTTP server, and writes no headers, signatures or contents.
const fs = require("fs");
const http = require("http");
const https = require("https");
const path = require("path");

const folder = process.env.LOCALCLOUD_JOURNAL;
const blobPort = Number(process.env.LOCALCLOUD_BLOB_PORT);
const segmentBytes = Number(process.env.LOCALCLOUD_JOURNAL_BYTES || 4 * 1024 * 1024);
const accessLog = process.env.LOCALCLOUD_ACCESS_LOG;
const accessLogBytes = Number(process.env.LOCALCLOUD_ACCESS_LOG_BYTES || 16 * 1024 * 1024);
const LOOK_EVERY = 256; // requests between two looks at the size of the access log
const BATCH_BYTES = 8 * 1024 * 1024; // a batch body has at most 4 MiB

let segment = 0;
let file = null;
let size = 0;
let served = 0;

function append(entry) {
  if (file === null || size > segmentBytes) {
    if (file !== null) fs.closeSync(file);
    if (segment === 0) segment = Math.max(0, ...fs.readdirSync(folder).map((name) => parseInt(name, 10) || 0));
    segment += 1;
    file = fs.openSync(path.join(folder, `${String(segment).padStart(12, "0")}.jsonl`), "a");
    size = 0;
  }
  size += fs.writeSync(file, JSON.stringify(entry) + "\n");
}

// Azurite's standard output is a file in append mode and written synchronously: nothing is lost in between.
function boundAccessLog() {
  served += 1;
  if (!accessLog || served % LOOK_EVERY !== 0) return;
  const log = fs.fstatSync(1);
  if (!log.isFile() || log.size <= accessLogBytes) return;
  fs.copyFileSync(accessLog, accessLog + ".1");
  fs.ftruncateSync(1, 0);
}

// The path and `comp` of a request that can create or delete a blob; null for containers, blocks, snapshots ...
function target(url) {
  const { pathname, searchParams } = new URL(url, "http://azurite");
  const comp = searchParams.get("comp") || "";
  if (comp !== "" && comp !== "blocklist") return null;
  if (searchParams.has("snapshot") || searchParams.has("versionid")) return null;
  return pathname.split("/").length > 3 ? { path: pathname, comp } : null;
}

const changed = (status) => status === 201 || status === 202;

function record(req, res) {
  const wanted = target(req.url);
  if (wanted === null || !changed(res.statusCode)) return;
  append({
    time: Date.now() / 1000,
    method: req.method,
    ...wanted,
    status: res.statusCode,
    etag: res.getHeader("etag") || "",
    requestId: res.getHeader("x-ms-request-id") || "",
    clientRequestId: req.headers["x-ms-client-request-id"] || "",
    contentType: req.headers["x-ms-blob-content-type"] || req.headers["content-type"] || "",
    contentLength: Number(req.headers["content-length"] || -1),
    blobType: req.headers["x-ms-blob-type"] || "",
    copied: "x-ms-copy-source" in req.headers,
  });
}

function collected(emitter, method, isChunk) {
  const chunks = [];
  let length = 0;
  const original = emitter[method];
  emitter[method] = function (first, second) {
    const chunk = isChunk(first, second);
    if (chunk && (length += chunk.length) <= BATCH_BYTES) chunks.push(Buffer.from(chunk));
    return original.apply(this, arguments);
  };
  return () => Buffer.concat(chunks).toString("latin1");
}

const bytes = (chunk) => (typeof chunk === "string" || Buffer.isBuffer(chunk) ? chunk : null);

// Azurite answers the parts of a batch in the order of its requests, each with a status and an id of its own.
function recordBatch(req, asked, answered) {
  const requests = [...asked.matchAll(/^(DELETE|PUT) (\S+) HTTP\/1\.1\s*$/gm)];
  const answers = answered.split(/^HTTP\/1\.1 /m).slice(1);
  if (requests.length !== answers.length) return;
  requests.forEach(([, method, url], number) => {
    const wanted = target(url);
    const status = parseInt(answers[number], 10);
    if (wanted === null || !changed(status)) return;
    const id = /^x-ms-request-id: *(\S+)/im.exec(answers[number]);
    append({
      time: Date.now() / 1000,
      method,
      ...wanted,
      status,
      etag: "",
      requestId: id ? id[1] : "",
      clientRequestId: req.headers["x-ms-client-request-id"] || "",
      contentType: "",
      contentLength: -1,
      blobType: "",
      copied: false,
    });
  });
}

function watch(req, res) {
  const batch = req.method === "POST" && /[?&]comp=batch(&|$)/.test(req.url);
  if (!batch && req.method !== "PUT" && req.method !== "DELETE") return;
  const asked = batch ? collected(req, "emit", (event, chunk) => (event === "data" ? bytes(chunk) : null)) : null;
  const written = batch ? collected(res, "write", bytes) : null;
  const end = res.end;
  res.end = function (last) {
    res.end = end; // Azurite ends some answers twice
    try {
      if (batch) recordBatch(req, asked(), written() + (bytes(last) || ""));
      else record(req, res);
    } catch (error) {
      console.error(`localcloud: an event of the storage account is lost: ${error}`);
    }
    return end.apply(this, arguments);
  };
}

if (folder) {
  fs.mkdirSync(folder, { recursive: true });
  for (const server of [http.Server, https.Server]) {
    const emit = server.prototype.emit;
    server.prototype.emit = function (event, req, res) {
      if (event === "request") {
        boundAccessLog();
        if (req.socket.localPort === blobPort) watch(req, res);
      }
      return emit.apply(this, arguments);
    };
  }
}
