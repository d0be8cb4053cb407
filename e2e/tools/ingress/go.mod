module mirrors.kubic.io/e2e/ingress

go 1.26
