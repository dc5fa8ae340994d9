# Oracles for tests/test_survival_projected.py. Run here, after survival.R: Rscript parametric.R
# Parametric fits of interval-censored lives: survival's survreg where entry is zero; with late entry, and for a share
# that never leaves, the log likelihood of one row per customer, written out and maximised by optim.
library(survival)
options(digits = 17)
rows <- read.csv("survival_rows.csv")
at <- c(5, 20, 40)              # tenures at which the survival is read

log_s <- list(
  exponential = function(p, t) -exp(p[1]) * t,
  weibull = function(p, t) -(exp(p[1]) * t)^exp(p[2]),
  lognormal = function(p, t) plnorm(t, -p[1], exp(p[2]), lower.tail = FALSE, log.p = TRUE),
  cure = function(p, t) log(plogis(p[3]) + plogis(-p[3]) * exp(-(exp(p[1]) * t)^exp(p[2]))))
begin <- list(exponential = -4, weibull = c(-4, 0), lognormal = c(-4, 0), cure = c(-3, 0, -1))

own <- function(d, kind) {
  event <- d$outcome != "censored"; f <- log_s[[kind]]
  minus <- function(p) -sum(d$n * (ifelse(event, log(exp(f(p, d$exit - 1)) - exp(f(p, d$exit))), f(p, d$exit)) - f(p, d$entry)))
  fit <- optim(begin[[kind]], minus, method = "BFGS", control = list(reltol = 1e-15, maxit = 1000))
  fit <- optim(fit$par, minus, method = "BFGS", control = list(reltol = 1e-16, maxit = 1000), hessian = TRUE)
  list(loglik = -fit$value, log_s = f(fit$par, at), std_error = sqrt(diag(solve(fit$hessian)))[1])
}
r <- function(d, kind) {        # survreg: the first day begins at 0, which it takes as left censoring
  event <- d$outcome != "censored"; dist <- c(exponential = "exponential", weibull = "weibull", lognormal = "lognormal")[[kind]]
  left <- ifelse(event & d$exit == 1, NA, ifelse(event, d$exit - 1, d$exit)); right <- ifelse(event, d$exit, NA)
  fit <- survreg(Surv(left, right, type = "interval2") ~ 1, d, weights = n, dist = dist, control = survreg.control(rel.tolerance = 1e-13, maxiter = 200))
  s <- psurvreg(at, coef(fit), fit$scale, distribution = dist)
  list(loglik = fit$loglik[1], log_s = log1p(-s), std_error = sqrt(vcov(fit)[1, 1]))
}
answer <- function(case, kind, fit) data.frame(case, model = kind, tenure = at, loglik = fit$loglik, log_survival = fit$log_s, std_error = fit$std_error)
veteran <- subset(rows, case == "veteran"); ties <- subset(rows, case == "ties")
out <- do.call(rbind, c(
  lapply(c("exponential", "weibull", "lognormal"), function(k) { a <- r(veteran, k); b <- own(veteran, k)
    stopifnot(abs(a$loglik - b$loglik) < 1e-6, max(abs(a$log_s - b$log_s)) < 1e-4); answer("veteran", k, a) }),
  lapply(names(log_s), function(k) answer("ties", k, own(ties, k)))))
write.csv(format(out, digits = 17, trim = TRUE), "parametric.csv", row.names = FALSE, quote = FALSE)
