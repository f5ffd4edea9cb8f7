/** Flags of `npm start`. */
export interface UpFlags {
  readonly data: string;
  readonly fresh?: boolean;
  readonly broker: "auto" | "nats" | "in-process";
  readonly port: number;
  readonly controlPort: number;
  readonly servicePorts: readonly [number, number];
  readonly cities: number;
  readonly once?: boolean;
  readonly json?: boolean;
}
