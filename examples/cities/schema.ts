import { z } from "zod";

/** A city as it is stored. */
export const City = z.strictObject({
  name: z.string().min(1),
  country: z.string().length(2),
  admin1: z.string(),
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  note: z.string().optional(),
});
export type City = z.infer<typeof City>;

/** The keys of the store, with the type of their values. */
export interface CitySchema {
  [key: `city/${string}`]: City;
}
