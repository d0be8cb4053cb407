package io.kubic.mirrors.list;

import java.util.Comparator;

/**
 * Text compared run by run: digits as numbers, everything else character by character, so that
 * {@code alpine3.9} comes before {@code alpine3.20}. Texts that differ in leading zeros only are
 * equal here.
 */
enum NaturalOrder implements Comparator<String> {
  INSTANCE;

  @Override
  public int compare(String a, String b) {
    int i = 0;
    int j = 0;
    while (i < a.length() && j < b.length()) {
      if (TagScanner.isDigit(a.charAt(i)) && TagScanner.isDigit(b.charAt(j))) {
        int endA = TagScanner.digitsEnd(a, i);
        int endB = TagScanner.digitsEnd(b, j);
        int order =
            NumberRun.compareDigits(
                NumberRun.stripped(a.substring(i, endA)), NumberRun.stripped(b.substring(j, endB)));
        if (order != 0) {
          return order;
        }
        i = endA;
        j = endB;
      } else {
        int order = Character.compare(a.charAt(i), b.charAt(j));
        if (order != 0) {
          return order;
        }
        i++;
        j++;
      }
    }
    return Integer.compare(a.length() - i, b.length() - j);
  }
}
