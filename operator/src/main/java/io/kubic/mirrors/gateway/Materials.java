package io.kubic.mirrors.gateway;

import io.kubic.mirrors.pki.CertifiedKey;

/** Everything that is read from files, as one value: a request sees one state of all of it. */
record Materials(
    GatewayConfig config, CertifiedKey certificate, TokenKeys keys, Users users, Acl acl) {}
