// One gRPC call by @grpc/grpc-js. The call is described by JSON on standard input, its outcome is JSON on
// standard output; messages are serialized protobuf in base64. The argument is the directory of the modules.
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');
const grpc = createRequire(path.join(process.argv[2], 'x.js'))('@grpc/grpc-js');

const asked = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const messages = asked.messages.map((text) => Buffer.from(text, 'base64'));
const same = (buffer) => buffer;

const metadata = new grpc.Metadata();
for (const [name, value] of Object.entries(asked.metadata || {})) metadata.set(name, value);

const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
if (asked.compression) unlimited['grpc.default_compression_algorithm'] = asked.compression;
const client = new grpc.Client(asked.address, grpc.credentials.createInsecure(), unlimited);
const options = asked.deadline_ms ? { deadline: Date.now() + asked.deadline_ms } : {};

const outcome = { messages: [], headers: {} };
const finish = (status) => {
  Object.assign(outcome, { code: status.code, details: status.details, trailers: status.metadata.getMap() });
  client.close();
  process.stdout.write(JSON.stringify(outcome));
};

let call;
if (asked.stream) {
  call = client.makeBidiStreamRequest(asked.method, same, same, metadata, options);
  call.on('data', (message) => outcome.messages.push(message.toString('base64')));
  call.on('error', () => {}); // its status comes as well
  for (const message of messages) call.write(message);
  call.end();
} else {
  call = client.makeUnaryRequest(asked.method, same, same, messages[0], metadata, options, (error, message) => {
    if (message) outcome.messages.push(message.toString('base64'));
  });
}
call.on('metadata', (headers) => { outcome.headers = headers.getMap(); });
call.on('status', finish);
if (asked.cancel_after_ms) setTimeout(() => call.cancel(), asked.cancel_after_ms);
