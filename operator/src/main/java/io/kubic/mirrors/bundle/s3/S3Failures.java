package io.kubic.mirrors.bundle.s3;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateException;
import javax.net.ssl.SSLException;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** Turns what the S3 client throws into reasons, with the remedy, on one line. */
final class S3Failures {
  private final S3Place place;

  S3Failures(S3Place place) {
    this.place = place;
  }

  /**
   * @param object the URL of a bucket or object
   */
  RegistryException of(SdkException e, String object) {
    return e instanceof S3Exception answer ? of(answer, object) : ofClient(e, object);
  }

  private RegistryException of(S3Exception e, String object) {
    AwsErrorDetails details = e.awsErrorDetails();
    String code = details == null || details.errorCode() == null ? "" : details.errorCode();
    String bucket = "s3://" + place.bucket();
    return switch (code) {
      case "NoSuchBucket" ->
          new RegistryException(
              Reason.NotFound,
              bucket,
              where() + " has no such bucket; it is never created here",
              e);
      case "InvalidAccessKeyId",
          "SignatureDoesNotMatch",
          "InvalidToken",
          "ExpiredToken",
          "InvalidClientTokenId" ->
          new RegistryException(
              Reason.Unauthorized, bucket, where() + " does not know these keys (" + code + ")", e);
      case "AccessDenied", "AllAccessDisabled", "AccountProblem" ->
          new RegistryException(
              Reason.Forbidden, object, "the keys do not allow this (" + code + ")", e);
      case "PermanentRedirect",
          "AuthorizationHeaderMalformed",
          "IllegalLocationConstraintException" ->
          new RegistryException(
              Reason.TargetRejected,
              bucket,
              "lies in another region than " + place.region() + "; name its region",
              e);
      case "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge" ->
          new RegistryException(Reason.TargetFull, object, where() + " is full (" + code + ")", e);
      case "PreconditionFailed" ->
          new RegistryException(Reason.MalformedResponse, object, "changes while it is read", e);
      default -> byStatus(e, code, object);
    };
  }

  private RegistryException byStatus(S3Exception e, String code, String object) {
    Reason reason =
        switch (e.statusCode()) {
          case 401 -> Reason.Unauthorized;
          case 403 -> Reason.Forbidden;
          case 404 -> Reason.NotFound;
          case 408 -> Reason.Timeout;
          case 412 -> Reason.MalformedResponse;
          case 429 -> Reason.RateLimited;
          case 507 -> Reason.TargetFull;
          default -> e.statusCode() >= 500 ? Reason.ServerError : Reason.TargetRejected;
        };
    return new RegistryException(
        reason,
        object,
        where() + " answered " + e.statusCode() + (code.isEmpty() ? "" : " " + Shown.of(code)),
        e);
  }

  private RegistryException ofClient(SdkException e, String object) {
    for (Throwable t = e; t != null; t = t.getCause()) {
      if (t instanceof RegistryException known) {
        return known;
      }
      if (t instanceof UnknownHostException) {
        return new RegistryException(
            Reason.NameResolution, object, "the name of " + where() + " does not resolve", e);
      }
      if (t instanceof CertificateException || t instanceof CertPathBuilderException) {
        return new RegistryException(
            Reason.TLSVerification, object, "the certificate of " + where() + " is not trusted", e);
      }
      if (t instanceof SSLException && t.getCause() == null) {
        return new RegistryException(
            Reason.TLSVerification, object, where() + " does not speak TLS as it should", e);
      }
      if (t instanceof InterruptedIOException) {
        return new RegistryException(
            Reason.Timeout, object, "no answer from " + where() + " in time", e);
      }
      if (t instanceof ConnectException) {
        return new RegistryException(
            Reason.ConnectionFailed, object, where() + " does not accept connections", e);
      }
    }
    if (String.valueOf(e.getMessage()).contains("Unable to load credentials")) {
      return new RegistryException(
          Reason.Unauthorized,
          object,
          "there are no keys in any of the usual places; name a file",
          e);
    }
    return new RegistryException(
        Reason.ConnectionFailed, object, "the connection to " + where() + " broke", e);
  }

  private String where() {
    return place.endpoint() == null ? "S3 in " + place.region() : place.endpoint().toString();
  }
}
