package io.kubic.mirrors.gateway;

import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;
import org.jspecify.annotations.Nullable;

/** What Jetty itself refuses, in the error document of the distribution-spec. */
final class SpecErrorHandler extends ErrorHandler {
  @Override
  public boolean errorPageForMethod(String method) {
    return true;
  }

  @Override
  protected void generateResponse(
      Request request,
      Response response,
      int code,
      @Nullable String message,
      @Nullable Throwable cause,
      Callback callback) {
    var _ = Answers.error(request, response, callback, code, word(code), sentence(code));
  }

  private static String word(int status) {
    return switch (status) {
      case 413, 414, 431 -> "SIZE_INVALID";
      case 503 -> "UNAVAILABLE";
      default -> status >= 500 ? "UNKNOWN" : "UNSUPPORTED";
    };
  }

  /** Never the reason that Jetty gives: it may quote the request. */
  private static String sentence(int status) {
    return switch (status) {
      case 413 -> "the body is too large";
      case 414 -> "the address is too long";
      case 431 -> "the headers are too large";
      case 503 -> "this gateway is stopping; come again";
      default -> status >= 500 ? "the gateway failed" : "the request is malformed";
    };
  }
}
