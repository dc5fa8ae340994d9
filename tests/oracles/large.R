# Oracles on 100,000 simulated customers: late entry, three outcomes, heavy ties (whole weeks). Run here: Rscript large.R
# Writes the counts by level and tenure (large_counts.csv; the rows would be 3 MB) and R's answers (large_answers.csv).
library(survival)
options(digits = 17)
set.seed(100000)

n <- 260000
level <- sample(c("a", "b", "c"), n, TRUE, c(.5, .3, .2))
life <- ceiling(rweibull(n, .85, c(a = 90, b = 120, c = 70)[level]))
entry <- pmax(0, sample(-100:200, n, TRUE))
end <- entry + sample(20:156, n, TRUE)
outcome <- ifelse(life <= end, sample(c("voluntary", "involuntary", "natural"), n, TRUE, c(.6, .3, .1)), "censored")
d <- head(data.frame(level, entry, exit = pmin(life, end), outcome)[life > entry, ], 100000)
stopifnot(nrow(d) == 100000)
d$event <- d$outcome != "censored"

moves <- rbind(data.frame(level = d$level, tenure = d$entry, what = "entered"),
  data.frame(level = d$level, tenure = d$exit, what = as.character(d$outcome)))
counts <- as.data.frame.matrix(xtabs(~ paste(level, tenure) + what, moves))
key <- do.call(rbind, strsplit(rownames(counts), " "))
counts <- data.frame(level = key[, 1], tenure = as.integer(key[, 2]), n_entered = counts$entered, n_voluntary = counts$voluntary,
  n_involuntary = counts$involuntary, n_natural = counts$natural, n_unknown = 0, n_censored = counts$censored)
counts$n_events <- with(counts, n_voluntary + n_involuntary + n_natural)
write.csv(counts[order(counts$level, counts$tenure), ], "large_counts.csv", row.names = FALSE, quote = FALSE)

answer <- NULL
add <- function(what, level, at, value) answer <<- rbind(answer, data.frame(what, level, at, value))
fit <- survfit(Surv(entry, exit, event) ~ level, d, conf.type = "log-log")
plain <- survfit(Surv(entry, exit, event) ~ level, d, conf.type = "plain")
for (g in c("a", "b", "c")) {
  s <- summary(fit[which(c("a", "b", "c") == g)], times = c(4, 26, 52, 104)); p <- summary(plain[which(c("a", "b", "c") == g)], times = s$time)
  add("survival", g, s$time, s$surv); add("loglog_lower", g, s$time, s$lower); add("loglog_upper", g, s$time, s$upper)
  add("plain_lower", g, s$time, p$lower); add("plain_upper", g, s$time, p$upper); add("at_risk", g, s$time, s$n.risk)
  q <- quantile(fit[which(c("a", "b", "c") == g)], c(.25, .5, .75))
  add("quantile", g, c(.25, .5, .75), q$quantile); add("quantile_lower", g, c(.25, .5, .75), q$lower)
  add("quantile_upper", g, c(.25, .5, .75), q$upper)
  m <- survival:::survmean(fit[which(c("a", "b", "c") == g)], rmean = 104)$matrix
  add("mean", g, 104, m[["rmean"]]); add("mean_std_error", g, 104, m[["se(rmean)"]])
}
for (ties in c("efron", "breslow")) {
  cox <- coxph(Surv(entry, exit, event) ~ level, d, ties = ties, control = coxph.control(eps = 1e-12, toler.chol = 1e-14))
  add(paste0("beta_", ties), c("b", "c"), 0, coef(cox)); add(paste0("std_error_", ties), c("b", "c"), 0, sqrt(diag(vcov(cox))))
  add(paste0("loglik_", ties), "", 0, cox$loglik[2])
}
u <- 0; V <- 0                  # the log-rank test with late entry and ties: the hypergeometric sum
for (t in sort(unique(d$exit[d$event]))) {
  nj <- table(factor(d$level[d$entry < t & t <= d$exit], c("a", "b", "c"))); dj <- table(factor(d$level[d$exit == t & d$event], c("a", "b", "c")))
  N <- sum(nj); D <- sum(dj); u <- u + (dj - D * nj / N)[-1]
  V <- V + (D * (N - D) / (N - 1) * (diag(c(nj) / N) - outer(c(nj), c(nj)) / N^2))[-1, -1]
}
add("logrank", "", 0, sum(u * solve(V, u)))
S <- 1; u <- 0; V <- 0          # Fleming-Harrington's weights, rho = 1
for (t in sort(unique(d$exit[d$event]))) {
  nj <- table(factor(d$level[d$entry < t & t <= d$exit], c("a", "b", "c"))); dj <- table(factor(d$level[d$exit == t & d$event], c("a", "b", "c")))
  N <- sum(nj); D <- sum(dj); u <- u + S * (dj - D * nj / N)[-1]
  V <- V + S^2 * (D * (N - D) / (N - 1) * (diag(c(nj) / N) - outer(c(nj), c(nj)) / N^2))[-1, -1]; S <- S * (1 - D / N)
}
add("logrank_rho", "", 1, sum(u * solve(V, u)))
means <- subset(answer, what == "mean"); errors <- subset(answer, what == "mean_std_error")  # against a, the largest
add("difference", means$level[-1], 104, means$value[-1] - means$value[1])
add("difference_std_error", means$level[-1], 104, sqrt(errors$value[-1]^2 + errors$value[1]^2))
ways <- c("voluntary", "involuntary", "natural")
states <- survfit(Surv(entry, exit, factor(outcome, c("censored", ways))) ~ level, d, id = seq_len(nrow(d)), se.fit = FALSE)
for (g in c("a", "b", "c")) {
  s <- summary(states[which(c("a", "b", "c") == g), ], times = c(26, 104))
  for (k in 1:3) add(paste0("incidence_", ways[k]), g, s$time, s$pstate[, k + 1])
}
begin <- subset(d, entry == 0)  # Gray's test where all are observed from the start
tests <- cmprsk::cuminc(begin$exit, begin$outcome, begin$level, cencode = "censored")$Tests
add("gray", rownames(tests), 0, tests[, "stat"])
moves <- rbind(data.frame(level = begin$level, tenure = 0, what = "entered"), data.frame(level = begin$level, tenure = begin$exit, what = begin$outcome))
gray <- as.data.frame.matrix(xtabs(~ paste(level, tenure) + what, moves))
key <- do.call(rbind, strsplit(rownames(gray), " "))
gray <- data.frame(level = key[, 1], tenure = as.integer(key[, 2]), n_entered = gray$entered, n_voluntary = gray$voluntary,
  n_involuntary = gray$involuntary, n_natural = gray$natural, n_unknown = 0, n_censored = gray$censored)
gray$n_events <- with(gray, n_voluntary + n_involuntary + n_natural)
write.csv(gray[order(gray$level, gray$tenure), ], "large_begin_counts.csv", row.names = FALSE, quote = FALSE)
write.csv(format(answer, digits = 17, trim = TRUE), "large_answers.csv", row.names = FALSE, quote = FALSE)
