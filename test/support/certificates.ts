import { createSign, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { isIPv4 } from "node:net";

/** A certificate and its key in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Signs certificates for servers and clients alike. */
export interface Authority {
  /** Its own certificate in PEM, for the list of trusted authorities. */
  readonly ca: string;
  /**
   * A certificate for `name`, valid for the host names and IPv4 addresses `hosts`. Valid by default from yesterday
   * until tomorrow, else for the days `validity` from today.
   */
  issue(name: string, hosts?: readonly string[], validity?: Validity): Certificate;
}

/** Days from today; negative ones lie in the past. */
type Validity = readonly [from: number, to: number];

const aroundToday: Validity = [-1, 1];

/** A new certificate authority, made with Node alone. */
export function createAuthority(name: string): Authority {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const isAuthority = extension("2.5.29.19", sequence(boolean(true)), true);
  return {
    ca: sign(name, name, keys.publicKey, keys.privateKey, [isAuthority], aroundToday),
    issue: (subject, hosts = [], validity = aroundToday) => {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const serverAndClient = extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")));
      const names = hosts.map((host) =>
        isIPv4(host) ? der(0x87, Buffer.from(host.split(".").map(Number))) : der(0x82, Buffer.from(host)),
      );
      const alternatives = names.length === 0 ? [] : [extension("2.5.29.17", sequence(...names))];
      return {
        cert: sign(subject, name, own.publicKey, keys.privateKey, [serverAndClient, ...alternatives], validity),
        key: own.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

const dayMs = 24 * 3_600_000;

function sign(
  subject: string,
  issuer: string,
  key: KeyObject,
  signer: KeyObject,
  extensions: readonly Buffer[],
  [from, to]: Validity,
): string {
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  const validity = sequence(time(new Date(Date.now() + from * dayMs)), time(new Date(Date.now() + to * dayMs)));
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    // A first bit of 1 would make the number negative.
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    algorithm,
    commonName(issuer),
    validity,
    commonName(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = createSign("SHA256").update(body).sign(signer);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  return `-----BEGIN CERTIFICATE-----\n${whole.toString("base64").replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, content: Buffer): Buffer {
  // The length, in as few bytes as possible.
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >>> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const integer = (bytes: Buffer): Buffer => der(0x02, bytes);
const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));
const commonName = (name: string): Buffer => sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(name)))));
const time = (date: Date): Buffer => der(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));
const extension = (id: string, value: Buffer, critical = false): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), der(0x04, value));
