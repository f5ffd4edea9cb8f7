/** Actors that run: the system that gives them addresses, what it sends messages over, and drawings of machines. */
export { createActorSystem } from "./system/actor-system.js";
export type {
  Accepts,
  AcceptsOf,
  ActorFailure,
  ActorSystem,
  ActorSystemOptions,
  ActorView,
  EventOf,
  ExposedActor,
  FromRemoteOptions,
  OnFailure,
  RemoteActor,
  RemoteEvent,
  RemoteLogic,
  RemoteOptions,
  RemotePath,
  RemoteSnapshot,
  RemoteView,
  Restart,
  SpawnedActor,
  SpawnOptions,
  StateOf,
  TagOf,
  Until,
} from "./system/actor-system.js";
export { machineToJson, machineToMermaid } from "./drawing/mermaid.js";
export type { DrawingOptions } from "./drawing/mermaid.js";
export { machineToSvg } from "./drawing/svg.js";
export type { SvgOptions } from "./drawing/svg.js";
export { describeMachine } from "./drawing/description.js";
export type { MachineDescription, StateDescription, TransitionDescription } from "./drawing/description.js";
export { applyEntry, emptyModel } from "./record/model.js";
export type { ActorModel, Happening, InstanceModel, InstanceState, RecordModel, Trail, Transition } from "./record/model.js";
export { summaryOf } from "./record/model-summary.js";
export type { ModelSummary, TrailSummary } from "./record/model-summary.js";
export { readRecording, recordingEnd, recordingEntry, recordingHead } from "./record/recording.js";
export type { RecordingInfo, RecordingPart } from "./record/recording.js";
export type { RecordEntry, RecordFrame, RecordItem } from "./record/frames.js";
export { acceptStately } from "./stately/accept-stately.js";
export type { AcceptedStately, AcceptStatelyOptions, StatelyNotice } from "./stately/accept-stately.js";
export type { Note, Notes } from "./record/notes.js";
export { createBroker, type Broker, type BrokerOptions } from "../transport/in-process.js";
export { openTransport, type OpenTransportOptions } from "../transport/open.js";
export { untilStatus } from "../transport/until-status.js";
export { serveBroker, type ServeBrokerOptions, type ServedBroker } from "../transport/websocket/broker.js";
export type { LinkStatus, Message, RequestOptions, SubscribeOptions, Subscription, Transport } from "../transport/transport.js";
export {
  ActorEndedError,
  ActorFailedError,
  ActorLostError,
  InvalidEventError,
  NoActorError,
  NotAcceptedError,
  NotDrawnError,
} from "../core/errors.js";
