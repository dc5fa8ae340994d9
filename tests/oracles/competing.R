# Oracles for tests/test_survival_competing.py: cumulative incidence (survival, etm), Gray's test (cmprsk) and restricted
# means (survival). Run here, after survival.R: Rscript competing.R
suppressMessages({library(survival); library(etm); library(cmprsk)})
options(digits = 17)

rows <- read.csv("survival_rows.csv")
mgus <- with(mgus2, data.frame(case = "mgus2", level = sex, entry = 0, exit = ifelse(pstat == 0, futime, ptime),
  outcome = ifelse(pstat == 1, "voluntary", ifelse(death == 1, "involuntary", "censored")), n = 1))
mgus <- aggregate(n ~ case + level + entry + exit + outcome, mgus, sum)
write.csv(mgus, "competing_rows.csv", row.names = FALSE, quote = FALSE)
ties <- subset(rows, case == "ties")
begin <- subset(ties, entry == 0); begin$case <- "begin"   # the same business, those observed from their start only
data <- rbind(mgus, ties, begin)
outcomes <- c("voluntary", "involuntary", "natural")
expand <- function(d) d[rep(seq_len(nrow(d)), d$n), ]

# Aalen-Johansen with Greenwood's variance, late entry: etm; without late entry R survival's is the same
incidence <- function(d) {
  long <- expand(d); used <- intersect(outcomes, d$outcome)
  from <- data.frame(id = seq_len(nrow(long)), from = "0", to = ifelse(long$outcome == "censored", "cens",
    as.character(match(long$outcome, outcomes))), entry = long$entry, exit = long$exit)
  states <- c("0", as.character(match(used, outcomes))); tra <- matrix(FALSE, length(states), length(states)); tra[1, -1] <- TRUE
  fit <- etm(from, states, tra, "cens", s = 0)
  do.call(rbind, lapply(used, function(o) {
    to <- as.character(match(o, outcomes)); pair <- paste("0", to)
    data.frame(case = d$case[1], level = d$level[1], outcome = o, tenure = fit$time,
      incidence = fit$est["0", to, ], std_error = sqrt(fit$cov[pair, pair, ]))
  }))
}

# Restricted mean of survival (survival's survfit) and time lost by outcome (area under survival's multi-state curves);
# the latter's standard error is the infinitesimal jackknife from survival's influence: without late entry only.
horizon <- c(mgus2 = 120, ties = 40, begin = 40)
means <- function(d) {
  tau <- horizon[[d$case[1]]]; event <- d$outcome != "censored"
  km <- survfit(Surv(entry, exit, event) ~ 1, d, weights = n)
  m <- survival:::survmean(km, rmean = tau)$matrix
  out <- data.frame(case = d$case[1], level = d$level[1], horizon = tau, outcome = "all", mean = m[["rmean"]],
    std_error = m[["se(rmean)"]])
  if (d$case[1] == "ties") return(out)
  long <- expand(d); used <- intersect(outcomes, d$outcome)
  fit <- survfit(Surv(exit, factor(outcome, c("censored", used))) ~ 1, long, influence = TRUE, id = seq_len(nrow(long)))
  keep <- fit$time <= tau; width <- diff(c(fit$time[keep], tau))
  for (k in seq_along(used)) {
    area <- sum(fit$pstate[keep, k + 1] * width)
    pull <- fit$influence.pstate[, , k + 1]; pull <- if (ncol(pull) == length(fit$time) + 1) pull[, -1] else pull
    out <- rbind(out, data.frame(case = d$case[1], level = d$level[1], horizon = tau, outcome = used[k], mean = area,
      std_error = sqrt(sum((pull[, which(keep)] %*% width)^2))))
  }
  out
}

# Gray's test, tenure by tenure (Gray 1988, section 3), with risk sets n (1 - F(t-)) / S(t-): those of who has not left by
# the outcome where entry is zero, where it is cmprsk's (checked below); with late entry those of Geskus (2011).
gray_by_hand <- function(d, outcome) {
  g <- sort(unique(d$level)); k <- length(g); z <- numeric(k); count <- function(x) sapply(g, function(l) sum(d$n[x & d$level == l]))
  S <- rep(1, k); F1 <- z; Fp <- 0; u <- z; V <- C <- B <- matrix(0, k, k); last <- z
  for (t in sort(unique(d$exit[d$outcome != "censored"]))) {
    out <- d$exit == t & d$outcome != "censored"
    n <- count((d$entry < t | d$entry == 0) & t <= d$exit); d1 <- count(out & d$outcome == outcome); d2 <- count(out & d$outcome != outcome)
    after <- ifelse(n > 0, S * (1 - (d1 + d2) / n), S); D <- sum(d1); size <- ifelse(S > 0, n / S, 0); tot <- sum(size)
    pooled <- Fp + D / tot; waiting <- size * (1 - F1)
    u <- u + ifelse(n > 0, d1 - D * waiting / sum(waiting), 0)
    A <- diag(size, k) - outer(size, size) / tot
    C <- C + A * D / (tot * (1 - Fp))
    for (j in which(n > 0)) {
      left <- if (after[j] > 0) (1 - pooled) / after[j] else 0
      v1 <- (if (D > 1) 1 - (D - 1) / (tot * S[j] - 1) else 1) * S[j] * D / (tot * n[j])
      v2 <- if (after[j] > 0) (if (d2[j] > 1) 1 - (d2[j] - 1) / (n[j] - 1) else 1) * S[j]^2 * d2[j] / n[j]^2 else 0
      pull <- A[, j] - (1 - left) * C[, j]
      V <- V + outer(pull, pull) * v1 + outer(C[, j], C[, j]) * left^2 * v2
      B[, j] <- B[, j] + pull * (1 - left) * v1 - C[, j] * left^2 * v2; last[j] <- last[j] + (1 - left)^2 * v1 + left^2 * v2
    }
    F1 <- F1 + ifelse(n > 0, S * d1 / n, 0); S <- after; Fp <- pooled
  }
  V <- V + C %*% diag(last, k) %*% t(C) + C %*% t(B) + B %*% t(C); i <- seq_len(k - 1)
  list(u = u, statistic = sum(u[i] * solve(V[i, i], u[i])))
}
# The same scores customer by customer: who left otherwise stays in the risk set with the weight of Geskus, the chance of
# being observed at t over that at the leaving, by product limits of censoring (forwards) and of entry (backwards).
scores_by_weights <- function(d, outcome) {
  g <- sort(unique(d$level)); times <- sort(unique(c(d$entry, d$exit))); own <- sort(unique(d$exit[d$outcome == outcome]))
  R <- sapply(g, function(l) {
    x <- d[d$level == l, ]; at <- function(t) sum(x$n[(x$entry < t | x$entry == 0) & t <= x$exit])
    n <- sapply(times, at); e <- sapply(times, function(t) sum(x$n[x$entry == t & t > 0]))
    dead <- sapply(times, function(t) sum(x$n[x$exit == t & x$outcome != "censored"]))
    gone <- sapply(times, function(t) sum(x$n[x$exit == t & x$outcome == "censored"]))
    G <- cumprod(c(1, ifelse(n > dead, 1 - gone / (n - dead), 1)))[seq_along(times)]             # just before each time
    now <- n - dead - gone + e; H <- rev(cumprod(rev(ifelse(now > 0, 1 - e / now, 1))))          # chance to have entered before
    seen <- G * H; other <- x[x$outcome != "censored" & x$outcome != outcome, ]
    sapply(own, function(t) if (at(t) == 0) 0 else at(t) + sum((other$n * seen[match(t, times)] / seen[match(other$exit, times)])[other$exit < t]))
  })
  dead <- sapply(g, function(l) sapply(own, function(t) sum(d$n[d$level == l & d$exit == t & d$outcome == outcome])))
  colSums(dead - rowSums(dead) * R / rowSums(R))
}

gray <- function(d) {
  used <- intersect(outcomes, d$outcome); hand <- lapply(used, gray_by_hand, d = d); df <- length(unique(d$level)) - 1
  for (j in seq_along(used)) stopifnot(max(abs(hand[[j]]$u - scores_by_weights(d, used[j]))) < 1e-8)
  statistic <- sapply(hand, `[[`, "statistic"); by_cmprsk <- all(d$entry == 0)
  if (by_cmprsk) {
    long <- expand(d); test <- cuminc(long$exit, long$outcome, long$level, cencode = "censored")$Tests[used, , drop = FALSE]
    stopifnot(max(abs(statistic / test[, "stat"] - 1)) < 1e-9); statistic <- test[, "stat"]
  }
  data.frame(case = d$case[1], outcome = used, method = if (by_cmprsk) "cmprsk" else "by hand", statistic,
    p_value = pchisq(statistic, df, lower.tail = FALSE), df)
}

each <- function(d, what, by) do.call(rbind, lapply(split(d, by, drop = TRUE), what))
write <- function(x, file) write.csv(format(x, digits = 17, trim = TRUE), file, row.names = FALSE, quote = FALSE)
write(each(data, incidence, list(data$level, data$case)), "competing_incidence.csv")
write(each(data, means, list(data$level, data$case)), "competing_means.csv")
write(each(data, gray, data$case), "competing_gray.csv")

# Weighted, stratified and pairwise log-rank tests: survival's survdiff where entry is zero, and with late entry the sum
# of weighted hypergeometric scores over the strata.
scores <- function(d, rho, gamma = 0) {
  levels <- sort(unique(d$level)); k <- length(levels); times <- sort(unique(d$exit[d$outcome != "censored"]))
  u <- numeric(k); V <- matrix(0, k, k); S <- 1
  for (t in times) {
    risk <- (d$entry < t | d$entry == 0) & t <= d$exit; dead <- d$exit == t & d$outcome != "censored"
    nj <- sapply(levels, function(g) sum(d$n[risk & d$level == g])); dj <- sapply(levels, function(g) sum(d$n[dead & d$level == g]))
    N <- sum(nj); D <- sum(dj); w <- S^rho * (1 - S)^gamma
    u <- u + w * (dj - D * nj / N)
    if (N > 1) V <- V + w^2 * D * (N - D) / (N - 1) * (diag(nj / N, k) - outer(nj, nj) / N^2)
    S <- S * (1 - D / N)
  }
  list(u = u, V = V)
}
weighted <- function(d, rho, stratum = rep(1, nrow(d)), gamma = 0) {
  parts <- lapply(split(d, stratum), scores, rho = rho, gamma = gamma)
  u <- Reduce(`+`, lapply(parts, `[[`, "u")); V <- Reduce(`+`, lapply(parts, `[[`, "V")); k <- length(u)
  sum(u[-k] * solve(V[-k, -k, drop = FALSE], u[-k]))
}
veterans <- with(veteran, data.frame(case = "veteran", level = celltype, stratum = as.character(trt), entry = 0, exit = time,
  outcome = ifelse(status == 1, "unknown", "censored"), n = 1))
write.csv(veterans, "logrank_rows.csv", row.names = FALSE, quote = FALSE)
event <- with(veteran, Surv(time, status))
pairs <- combn(sort(levels(veteran$celltype)), 2)
veterans_and_ties <- list(veteran = veterans, ties = ties)
late <- expand.grid(case = names(veterans_and_ties), rho = c(0, 1), gamma = c(1, .5), stringsAsFactors = FALSE)
tests <- rbind(
  data.frame(case = late$case, test = paste0("rho=", late$rho, " gamma=", late$gamma), statistic = mapply(function(case, rho, gamma)
    weighted(veterans_and_ties[[case]], rho, gamma = gamma), late$case, late$rho, late$gamma)),
  data.frame(case = "veteran", test = "rho", statistic = survdiff(event ~ celltype, veteran, rho = 1)$chisq),
  data.frame(case = "ties", test = "rho", statistic = weighted(ties, 1)),
  data.frame(case = "veteran", test = "strata", statistic = survdiff(event ~ celltype + strata(trt), veteran)$chisq),
  data.frame(case = "veteran", test = paste(pairs[1, ], pairs[2, ]), statistic = apply(pairs, 2, function(p)
    survdiff(Surv(time, status) ~ celltype, veteran, subset = celltype %in% p)$chisq)))
tests$p_value <- pchisq(tests$statistic, ifelse(tests$case == "ties", 2, ifelse(grepl("^[a-z]+ [a-z]+$", tests$test), 1, 3)), lower.tail = FALSE)
tests$p_holm <- NA; two <- grepl("^[a-z]+ [a-z]+$", tests$test); tests$p_holm[two] <- p.adjust(tests$p_value[two], "holm")
stopifnot(abs(weighted(veterans, 1) - tests$statistic[tests$test == "rho"][1]) < 1e-9, abs(weighted(veterans, 0, veterans$stratum) - tests$statistic[tests$test == "strata"]) < 1e-9)
write(tests, "logrank_tests.csv")

# Conditional survival: survfit begun at a later time; cumulative hazard: Nelson-Aalen of the same fits
conditional <- function(d) do.call(rbind, lapply(c(0, 6, 13), function(from) {
  fit <- summary(survfit(Surv(entry, exit, outcome != "censored") ~ 1, subset(d, exit > from), weights = n, start.time = from,
    conf.type = "log-log"), times = from + 12)
  data.frame(case = d$case[1], level = d$level[1], given = from, survival = fit$surv, std_error = fit$std.err, lower = fit$lower,
    upper = fit$upper, cumulative = fit$cumhaz, cumulative_std_error = fit$std.chaz)
}))
write(each(ties, conditional, ties$level), "conditional.csv")
