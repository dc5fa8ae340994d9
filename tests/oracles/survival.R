# Oracles for tests/test_survival.py: R survival's own answers. Run here: Rscript survival.R
# Writes survival_rows.csv (the data, one row per level, entry, exit and outcome with their number n), and the answers:
# survival_curves.csv, survival_quantiles.csv, survival_logrank.csv.
library(survival)
options(digits = 17)

# ---- the data: public ones from the package, and two simulated ones --------------------------------------------------
rows <- function(case, level, entry, exit, outcome) {
  d <- data.frame(case = case, level = as.character(level), entry = entry, exit = exit, outcome = outcome)
  d$n <- 1
  aggregate(n ~ case + level + entry + exit + outcome, d, sum)
}
status <- function(event) ifelse(event == 1, "unknown", "censored")

set.seed(20261122)
n <- 3000                       # late entry, three outcomes, heavy ties (whole weeks)
level <- sample(c("a", "b", "c"), n, TRUE, c(.5, .3, .2))
life <- ceiling(rweibull(n, .9, c(a = 60, b = 80, c = 45)[level]))
entry <- pmax(0, sample(-60:80, n, TRUE))
end <- entry + sample(20:90, n, TRUE)
seen <- life > entry
ties <- data.frame(level, entry, exit = pmin(life, end),
  outcome = ifelse(life <= end, sample(c("voluntary", "involuntary", "natural"), n, TRUE, c(.6, .3, .1)), "censored"))[seen, ]

n <- 400                        # late entry, no tie at all: every exit its own day
life <- sample(1:100000, n) * 2
entry <- pmax(0, sample(-50000:90000, n)) * 2 + 1
entry[entry == 1] <- 0
level <- sample(c("a", "b"), n, TRUE)
end <- entry + sample(1:90000, n) * 2
seen <- life > entry
untied <- data.frame(level, entry, exit = ifelse(life <= end, life, end + 1),
  outcome = ifelse(life <= end, "voluntary", "censored"))[seen, ]

n <- 500                        # whole months, customers who left in their first month (tenure 0)
life <- rgeom(n, .06)
end <- sample(0:36, n, TRUE)
months <- data.frame(level = sample(c("a", "b"), n, TRUE), entry = 0, exit = pmin(life, end),
  outcome = ifelse(life <= end, "voluntary", "censored"))

data <- rbind(
  with(veteran, rows("veteran", celltype, 0, time, status(status))),
  with(lung, rows("lung", sex, 0, time, status(status - 1))),
  with(heart, rows("heart", transplant, start, stop, status(event))),
  with(subset(pbc, !is.na(trt)), rows("pbc", trt, 0, time, status(status == 2))),
  with(subset(colon, etype == 2), rows("colon", rx, 0, time, status(status))),
  with(mgus2, rows("mgus2", sex, 0, futime, status(death))),
  with(ties, rows("ties", level, entry, exit, outcome)),
  with(untied, rows("untied", level, entry, exit, outcome)),
  with(months, rows("months", level, entry, exit, outcome))
)
write.csv(data, "survival_rows.csv", row.names = FALSE, quote = FALSE)

# ---- the answers -----------------------------------------------------------------------------------------------------
surv_of <- function(d) {
  event <- d$outcome != "censored"
  if (all(d$entry == 0)) Surv(d$exit, event) else Surv(d$entry, d$exit, event)
}

curve <- function(d) {
  fit <- survfit(surv_of(d) ~ 1, weights = d$n, conf.type = "log-log")
  plain <- survfit(surv_of(d) ~ 1, weights = d$n, conf.type = "plain")
  data.frame(case = d$case[1], level = d$level[1], tenure = fit$time, n_at_risk = fit$n.risk, n_events = fit$n.event,
    survival = fit$surv, log_std_error = fit$std.err, loglog_lower = fit$lower, loglog_upper = fit$upper,
    plain_lower = plain$lower, plain_upper = plain$upper)
}

quantiles <- function(d) {
  p <- c(.1, .25, .5, .75, .9)
  do.call(rbind, lapply(c("log-log", "plain"), function(kind) {
    q <- quantile(survfit(surv_of(d) ~ 1, weights = d$n, conf.type = kind), p)
    data.frame(case = d$case[1], level = d$level[1], kind = kind, p = p, tenure = q$quantile, lower = q$lower,
      upper = q$upper)
  }))
}

# R has no log-rank with late entry. Without ties the score test of coxph is the log-rank test; with ties this is the
# sum of observed less expected over the risk sets, with the multivariate hypergeometric variance.
hypergeometric <- function(d) {
  levels <- sort(unique(d$level)); k <- length(levels); times <- sort(unique(d$exit[d$outcome != "censored"]))
  observed <- expected <- numeric(k); V <- matrix(0, k, k)
  for (t in times) {
    # observed from the first day: at risk at tenure 0 already
    risk <- (d$entry < t | d$entry == 0) & t <= d$exit; dead <- d$exit == t & d$outcome != "censored"
    nj <- sapply(levels, function(g) sum(d$n[risk & d$level == g])); dj <- sapply(levels, function(g) sum(d$n[dead & d$level == g]))
    N <- sum(nj); D <- sum(dj)
    observed <- observed + dj; expected <- expected + D * nj / N
    if (N > 1) V <- V + D * (N - D) / (N - 1) * (diag(nj / N, k) - outer(nj, nj) / N^2)
  }
  u <- (observed - expected)[-k]
  list(statistic = sum(u * solve(V[-k, -k, drop = FALSE], u)), observed = observed, expected = expected, levels = levels)
}

expand <- function(d) d[rep(seq_len(nrow(d)), d$n), ]
logrank <- function(d) {
  ours <- hypergeometric(d); long <- expand(d)
  if (all(d$entry == 0)) {
    # survdiff's own numbers
    test <- survdiff(Surv(exit, outcome != "censored") ~ level, long)
    stopifnot(abs(test$chisq - ours$statistic) < 1e-9)
    statistic <- test$chisq; expected <- test$exp; method <- "survdiff"
  } else if (!any(duplicated(long$exit[long$outcome != "censored"]))) {
    statistic <- coxph(Surv(entry, exit, outcome != "censored") ~ level, long)$score
    stopifnot(abs(statistic - ours$statistic) < 1e-8)
    expected <- ours$expected; method <- "coxph score"
  } else {
    statistic <- ours$statistic; expected <- ours$expected; method <- "hypergeometric sum"
  }
  data.frame(case = d$case[1], level = ours$levels, method, statistic, df = length(ours$levels) - 1,
    p_value = pchisq(statistic, length(ours$levels) - 1, lower.tail = FALSE), observed = ours$observed, expected)
}

each <- function(what, by) do.call(rbind, lapply(split(data, by, drop = TRUE), what))
write <- function(x, file) write.csv(format(x, digits = 17, trim = TRUE), file, row.names = FALSE, quote = FALSE)
curves <- each(curve, list(data$level, data$case))
# of the larger ones every tenth tenure: 400 KB otherwise
curves <- curves[!curves$case %in% c("pbc", "colon", "mgus2") | seq_len(nrow(curves)) %% 10 == 0, ]
write(curves, "survival_curves.csv")
write(each(quantiles, list(data$level, data$case)), "survival_quantiles.csv")
write(each(logrank, data$case), "survival_logrank.csv")
