package io.kubic.mirrors.oci.registry;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import okhttp3.Request;

/** Takes out of a registry's answer what it was told in confidence. */
final class Reflection {
  private Reflection() {}

  /** The text without the credentials of the request that it answers. */
  static String hidden(String text, Request request) {
    String header = request.header("Authorization");
    if (header == null) {
      return text;
    }
    int space = header.indexOf(' ');
    String value = header.substring(space + 1);
    String shown = value.isEmpty() ? text : text.replace(value, "***");
    if (header.startsWith("Basic ")) {
      String pair = new String(Base64.getDecoder().decode(value), StandardCharsets.UTF_8);
      String password = pair.substring(pair.indexOf(':') + 1);
      shown = password.isEmpty() ? shown : shown.replace(password, "***");
    }
    return shown;
  }
}
