# Oracle for tests/test_survival_oracles.py: simultaneous bands of the survival. Run here, after survival.R: Rscript bands.R
# Equal precision (Nair 1984), log-log transformed: S^exp(-+ c sd / log S), sd^2 Greenwood's variance of log S from survfit,
# c such that a standardised Brownian bridge stays within (-c, c) between the sd of the first and of the last event: Miller
# and Siegmund's (1982, equation 8) chance to leave, 4 f(c) / c + f(c) (c - 1 / c) log(v2 / v1), f the normal density.
suppressMessages({library(survival); library(km.ci)})
options(digits = 17)
rows <- read.csv("survival_rows.csv")
critical <- function(stretch) uniroot(function(c) 4 * dnorm(c) / c + dnorm(c) * (c - 1 / c) * stretch - .05, c(1.5, 9), tol = 1e-13)$root

# Nair's own table, as km.ci holds it: 95 %, by u = n v / (1 + n v) of the first event (columns) and of the last (rows).
# One of its 999 numbers lies .027 beside the formula, all others within the rounding.
published <- expand.grid(last = seq(.1, .98, .02), first = seq(.02, .6, .02))
published$factor <- as.vector(as.matrix(get("critical.value.nair.95"))); published <- subset(published, !is.na(factor))
off <- abs(with(published, mapply(critical, log(last / (1 - last)) - log(first / (1 - first)))) - published$factor)
stopifnot(sum(off > 1.1e-4) <= 1)
band <- function(d) {
  event <- d$outcome != "censored"
  times <- if (all(d$entry == 0)) Surv(d$exit, event) else Surv(d$entry, d$exit, event)
  fit <- survfit(times ~ 1, weights = d$n)
  used <- fit$n.event > 0 & fit$surv > 0; v <- range(fit$std.err[used]^2)
  z <- critical(log(v[2] / v[1]))
  s <- fit$surv[used]; half <- z * fit$std.err[used] / abs(log(s))
  data.frame(case = d$case[1], level = d$level[1], tenure = fit$time[used], factor = z, lower = s^exp(half), upper = s^exp(-half))
}

write <- function(x, file) write.csv(format(x, digits = 17, trim = TRUE), file, row.names = FALSE, quote = FALSE)
used <- rows[rows$case %in% c("veteran", "lung", "ties", "untied"), ]
write(do.call(rbind, lapply(split(used, list(used$level, used$case), drop = TRUE), function(d) { b <- band(d); b[seq_len(nrow(b)) %% 5 == 1, ] })), "bands.csv")
write(published[off <= 1.1e-4, ][seq_len(sum(off <= 1.1e-4)) %% 50 == 1, c("first", "last", "factor")], "bands_nair.csv")
