package io.kubic.mirrors.node.agent;

/** Why a node is, or is not, as its configuration wants; a closed list. */
public enum NodeReason {
  /** Applied and proven. */
  Applied,
  /** Everything was taken back, or left as the removal policy says. */
  Removed,
  /** The first round is under way. */
  Starting,
  /** The node's turn is yet to come; nothing is touched. */
  Holding,
  /** Another agent holds the node. */
  Conflicted,
  /** The configuration cannot be read. */
  InvalidConfig,
  /** The system is none that this part of the configuration can be carried out on. */
  UnsupportedOS,
  /** No runtime is found, or it does not read per-registry files yet. */
  RuntimeConfigRequired,
  /** A runtime cannot be told to keep away from a source. */
  NotExpressible,
  /** A mirror does not answer. */
  MirrorUnreachable,
  /** A mirror answers, but does not serve. */
  ProbeFailed,
  /** The host refuses a write; former files are in place. */
  WriteFailed,
  /** A file of somebody else is where ours would be. */
  ForeignConflict,
  /** What was there before is broken; nothing is written. */
  PreexistingInvalid,
  /** A file of somebody else overrides ours. */
  Shadowed,
  /** Somebody changed our files, and they are to be left. */
  Drifted,
  /** New files did not prove themselves; former ones are back. */
  RolledBack
}
