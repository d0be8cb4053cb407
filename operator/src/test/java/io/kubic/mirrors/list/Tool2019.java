package io.kubic.mirrors.list;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Pattern;

/**
 * mirror-registry 1.4, ported for the tests from the description of its behaviour alone and
 * independently of the product: regular expressions, string lists and index arithmetic as there.
 */
final class Tool2019 {
  private static final Pattern VERSION = Pattern.compile("^v?[0-9]+(\\.[0-9]+)*$");
  private static final BigInteger MAX_INT = BigInteger.valueOf(Long.MAX_VALUE);

  private Tool2019() {}

  static int compare(String a, String b) {
    String first = a.replace("-", ".");
    String second = b.replace("-", ".");
    if (!VERSION.matcher(first).matches() || !VERSION.matcher(second).matches()) {
      return Integer.signum(a.compareTo(b));
    }
    String[] x = (first.charAt(0) == 'v' ? first.substring(1) : first).split("\\.");
    String[] y = (second.charAt(0) == 'v' ? second.substring(1) : second).split("\\.");
    int length = x.length > y.length ? x.length : y.length;
    for (int i = 0; i < length; i++) {
      if (i < x.length && i < y.length && x[i].equals(y[i])) {
        continue;
      }
      BigInteger left = i < x.length ? atoi(x[i]) : BigInteger.ONE.negate();
      BigInteger right = i < y.length ? atoi(y[i]) : BigInteger.ONE.negate();
      if (left.compareTo(right) < 0) {
        return -1;
      } else if (left.compareTo(right) > 0) {
        return 1;
      }
    }
    return 0;
  }

  private static BigInteger atoi(String digits) {
    BigInteger value = new BigInteger(digits);
    return value.compareTo(MAX_INT) > 0 ? BigInteger.ONE.negate() : value;
  }

  /** Go's insertion sort over the tags as sorted strings. */
  static List<String> sorted(List<String> tags) {
    List<String> p = new ArrayList<>(tags);
    Collections.sort(p);
    for (int i = 1; i < p.size(); i++) {
      int j = i;
      while (j > 0 && compare(p.get(j), p.get(j - 1)) < 0) {
        Collections.swap(p, j, j - 1);
        j--;
      }
    }
    return p;
  }

  static List<String> minimize(List<String> p) {
    int n = p.size();
    if (n == 0) {
      return p;
    }
    List<String> out = new ArrayList<>();
    out.add(p.get(0));
    for (int i = 1; i < n; i++) {
      if (i == n - 1) {
        out.add(p.get(i));
        break;
      }
      if (p.get(i + 1).startsWith(p.get(i))) {
        out.add(p.get(i));
        continue;
      }
      int run = 0;
      while (i + run < n && p.get(i + run).startsWith(p.get(i - 1))) {
        run++;
      }
      if (run == 0) {
        out.add(p.get(i));
      } else {
        out.add(p.get(i + run - 1));
        i += run - 1;
      }
    }
    return out;
  }

  static List<String> newestOnly(List<String> p) {
    List<String> out = new ArrayList<>();
    String newest = "";
    for (int i = p.size() - 1; i >= 0; i--) {
      String tag = p.get(i);
      if (tag.equals("latest")) {
        out.add(tag);
        continue;
      }
      if (newest.isEmpty()) {
        newest = tag;
        out.add(tag);
        continue;
      }
      if (newest.startsWith(tag)) {
        out.add(tag);
      }
    }
    // sorted again with the same comparison, starting from what was collected
    for (int i = 1; i < out.size(); i++) {
      int j = i;
      while (j > 0 && compare(out.get(j), out.get(j - 1)) < 0) {
        Collections.swap(out, j, j - 1);
        j--;
      }
    }
    return out;
  }

  /** Whether the comparison orders these tags, so that every sort gives the same. */
  static boolean isOrdered(List<String> tags) {
    int n = tags.size();
    int[][] order = new int[n][n];
    for (int a = 0; a < n; a++) {
      for (int b = 0; b < n; b++) {
        order[a][b] = compare(tags.get(a), tags.get(b));
        if (a != b && order[a][b] == 0) {
          return false;
        }
      }
    }
    for (int a = 0; a < n; a++) {
      for (int b = 0; b < n; b++) {
        for (int c = 0; order[a][b] < 0 && c < n; c++) {
          if (order[b][c] < 0 && order[a][c] >= 0) {
            return false;
          }
        }
      }
    }
    return true;
  }
}
