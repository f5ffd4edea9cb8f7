/**
 * The limits that the benches compare with: NATS and LMDB without Zooid between them.
 * `raw.echo` answers with its payload. `raw.commit` is a bare commit path: decode, compare with heads in memory, three
 * puts in one group commit, publish one invalidation, answer.
 */
import { open } from "lmdb";
import { Packr } from "msgpackr";
import { connect } from "nats";
import { join } from "node:path";
import { answer, processDetails } from "./process.js";

const { url, folder } = processDetails();
const connection = await connect({ servers: url, noAsyncTraces: true });
const database = open<Buffer, Buffer>({
  path: join(folder, "raw"),
  encoding: "binary",
  keyEncoding: "binary",
  cache: false,
  overlappingSync: false,
});
const packr = new Packr({ useRecords: false });
const heads = new Map<string, number>();
let last = 0;

connection.subscribe("raw.echo", {
  callback: (_error, message) => {
    message.respond(message.data);
  },
});

connection.subscribe("raw.commit", {
  callback: (_error, message) => {
    const [id, base, key, value] = packr.unpack(message.data) as [string, number, string, Buffer];
    if ((heads.get(key) ?? 0) > base && base > 0) {
      message.respond(packr.pack(["conflict"]));
      return;
    }
    const tid = ++last;
    heads.set(key, tid);
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(BigInt(tid));
    void database.put(Buffer.from(`c${key}`), value);
    void database.put(Buffer.concat([Buffer.from("l"), stamp]), packr.pack([id, [key]]));
    void database.put(Buffer.from("m"), stamp).then(() => {
      connection.publish("raw.invalidations", packr.pack([tid, [key]]));
      message.respond(packr.pack([tid]));
    });
  },
});

await connection.flush();
const times: number[] = [];
answer({
  /** Milliseconds of each of `count` synchronous durable transactions of three 200-byte puts. */
  writes: (count: number) => {
    times.length = 0;
    const value = Buffer.alloc(200, 7);
    for (let index = 0; index < count; index++) {
      const begin = performance.now();
      database.transactionSync(() => {
        for (const part of ["a", "b", "c"]) void database.put(Buffer.from(`${part}${index % 1_000}`), value);
      });
      times.push(performance.now() - begin);
    }
    return times;
  },
});
