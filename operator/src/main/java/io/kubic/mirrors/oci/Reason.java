package io.kubic.mirrors.oci;

/**
 * Why work on an image failed: a closed list and a contract, since it stands in reports, conditions
 * and metrics. Each constant has an entry with its remedy in the README's reference.
 */
public enum Reason {
  /** No credentials, or the registry refuses them (401). */
  Unauthorized,
  /** The credentials do not allow this (403). */
  Forbidden,
  /** No such repository, tag, manifest or blob (404). */
  NotFound,
  /** The registry's quota is used up (429), or kept for others by {@code limits.minRemaining}. */
  RateLimited,
  /** No answer in time (also 408). */
  Timeout,
  /** A transfer moved too few bytes for too long. */
  Stalled,
  /** Refused, reset or broken connection. */
  ConnectionFailed,
  /** 5xx. */
  ServerError,
  /** An answer that the protocol does not allow. */
  MalformedResponse,
  /** Larger than the protocol or this program allows. */
  TooLarge,
  /** A redirect that could leak credentials or reach an inner address. */
  RedirectRefused,
  /** A token realm that must not see the credentials, or that is an inner address. */
  RealmRefused,
  /** The certificate is not trusted, expired, or for another name. */
  TLSVerification,
  /** The host name does not resolve. */
  NameResolution,
  /** The bytes are not what their digest promises. */
  DigestMismatch,
  /** A signature does not verify. */
  SignatureInvalid,
  /** A media type that is not copied, as Docker schema 1. */
  UnsupportedMediaType,
  /** The target insists on children of an index that the platform filter leaves out. */
  SparseIndexRejected,
  /** The target has no space left. */
  TargetFull,
  /** The target refuses for another reason. */
  TargetRejected,
  /** The registry has no catalog: its repositories must be named in the list. */
  DiscoveryUnsupported,
  /** Two sources claim one target, or the target changed under the run. */
  Conflict,
  /** A delta that does not fit what the far side holds. */
  BaseMismatch,
  /** The selection is larger than the list's guard allows. */
  GuardExceeded,
  /** The run was told to stop. */
  Cancelled,
  /** A defect of this program. */
  Internal;

  /** Whether the same request can succeed a moment later without anybody's doing. */
  public boolean isTransient() {
    return switch (this) {
      case RateLimited, Timeout, Stalled, ConnectionFailed, ServerError, NameResolution -> true;
      case Unauthorized,
          Forbidden,
          NotFound,
          MalformedResponse,
          TooLarge,
          RedirectRefused,
          RealmRefused,
          TLSVerification,
          DigestMismatch,
          SignatureInvalid,
          UnsupportedMediaType,
          SparseIndexRejected,
          TargetFull,
          TargetRejected,
          DiscoveryUnsupported,
          Conflict,
          BaseMismatch,
          GuardExceeded,
          Cancelled,
          Internal ->
          false;
    };
  }

  /** Whether the registry as a whole cannot be reached or does not let us in. */
  public boolean isUnavailable() {
    return switch (this) {
      case Unauthorized, Timeout, ConnectionFailed, TLSVerification, NameResolution, RealmRefused ->
          true;
      default -> false;
    };
  }
}
