package io.kubic.mirrors.oci.registry;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import okhttp3.FormBody;
import okhttp3.Request;

/** Takes out of a registry's answer what it was told in confidence. */
final class Reflection {
  private Reflection() {}

  /** The text without the credentials of the request that it answers. */
  static String hidden(String text, Request request) {
    String header = request.header("Authorization");
    if (header == null) {
      return request.body() instanceof FormBody form ? hidden(text, form) : text;
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

  /** The text without the refresh token of a form. */
  private static String hidden(String text, FormBody form) {
    String shown = text;
    for (int i = 0; i < form.size(); i++) {
      if (form.name(i).equals("refresh_token") && !form.value(i).isEmpty()) {
        shown = shown.replace(form.value(i), "***").replace(form.encodedValue(i), "***");
      }
    }
    return shown;
  }
}
