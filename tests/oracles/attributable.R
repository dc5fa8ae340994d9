# Attributable losses by R: glm() for effects that multiply, optim() for effects that add; the jackknife refits without
# each block. Writes attributable_patterns.csv (simulated counts) and attributable_expected.csv.
set.seed(20)
patterns <- expand.grid(month = 0:3, tenure = 0:1, a = 0:1, b = 0:1, c = 0:2, block = 0:19)
patterns$n_at_risk <- rpois(nrow(patterns), with(patterns, 60 * ifelse(a == 1, .3, 1) * ifelse(b == 1, .4, 1) * c(1, .3, .2)[c + 1]))
eta <- with(patterns, -3.2 + .1 * month - .3 * tenure + .9 * a + .7 * b + c(0, .4, -.5)[c + 1])
patterns$n_churned <- rbinom(nrow(patterns), patterns$n_at_risk, 1 - exp(-exp(eta)))
write.csv(patterns, "attributable_patterns.csv", row.names = FALSE)

fit <- function(d) glm(cbind(n_churned, n_at_risk - n_churned) ~ factor(month) + factor(tenure) + factor(a) + factor(b) + factor(c),
                       binomial("cloglog"), d, control = list(epsilon = 1e-14, maxit = 50))
drivers <- c("a", "b", "c")
window <- function(d) subset(d, month >= 2 & n_at_risk > 0)
attributable <- function(m, d) {
  d <- window(d)
  hazard <- function(d) exp(predict(m, d))
  effects <- sapply(drivers, function(v) { e <- d; e[[v]] <- 0; log(hazard(d) / hazard(e)) })
  none <- d; none[drivers] <- 0
  base <- hazard(none)
  # the mean over the straight path on which all effects grow together, by the midpoint rule
  at <- (seq_len(4000) - .5) / 4000
  total <- rowSums(effects)
  path <- rowMeans(sapply(at, function(t) base * exp(t * total) * exp(-base * exp(t * total))))
  alone <- sapply(drivers, function(v) { e <- d; e[[v]] <- 0; sum(d$n_at_risk * (exp(-hazard(e)) - exp(-hazard(d)))) })
  # what the model missed of the losses of the exposed goes in equal parts to the drivers that met them
  met <- sapply(drivers, function(v) d[[v]] > 0)
  missed <- (d$n_churned - d$n_at_risk * (1 - exp(-hazard(d)))) * met / pmax(rowSums(met), 1)
  exposed <- rowSums(met) > 0
  all <- sum((d$n_churned - d$n_at_risk * (1 - exp(-base)))[exposed])
  c(setNames(colSums(effects * path * d$n_at_risk + missed), paste0("path_", drivers)), setNames(alone, paste0("alone_", drivers)), all = all)
}
whole <- fit(patterns)
value <- attributable(whole, patterns)
without <- sapply(0:19, function(k) { d <- subset(patterns, block != k); attributable(fit(d), d) * 20 / 19 })
se <- apply(without, 1, function(x) sqrt(19 / 20 * sum((x - mean(x))^2)))

X <- model.matrix(~ factor(month) + factor(tenure), patterns)
Z <- model.matrix(~ factor(a) + factor(b) + factor(c), patterns)[, -1]
minus <- function(par) {
  h <- exp(X %*% par[1:5]) * pmax(1 + Z %*% par[6:9], 1e-3)
  with(patterns, -sum(ifelse(n_churned > 0, n_churned * log(-expm1(-h)), 0) - (n_at_risk - n_churned) * h))
}
adds <- optim(c(-3, 0, 0, 0, 0, 1, 1, .3, -.3), minus, method = "BFGS", control = list(maxit = 2000, reltol = 1e-15))
out <- data.frame(quantity = names(value), value, se)
more <- data.frame(quantity = c(paste0("beta_", c("a", "b", "c1", "c2")), "loglik_adds", paste0("excess_", c("a", "b", "c1", "c2"))),
                   value = c(coef(whole)[6:9], -adds$value, adds$par[6:9]), se = NA)
write.csv(rbind(out, more), "attributable_expected.csv", row.names = FALSE)
print(rbind(out, more)); print(adds$convergence); print(logLik(whole)); 
